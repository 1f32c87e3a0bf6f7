package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// contender is one way to place the CA on all hosts of a file.
type contender struct {
	name string
	// before is done outside the clock, where nothing is placed yet.
	before func() error
	cmd    func() *exec.Cmd
	// twice measures it once more where all is placed already.
	twice bool
}

// The Go clients' parallelism is everybody's, where a tool has one.
const parallel = "32"

func (b *bench) contenders() []contender {
	each := fmt.Sprintf(`ssh -n -F %[1]s "$1" mkdir -p %[2]s && scp -q -F %[1]s %[3]s "$1":%[4]s`, b.sshConfig(), caDir, b.caPath(), caFile)
	return []contender{
		{name: ours, cmd: func() *exec.Cmd { return b.trustClients(b.file("hosts"), b.knownHosts()) }, twice: true},
		{name: "Go prototype", cmd: func() *exec.Cmd { return b.prototypeOn(b.file("hosts"), b.knownHosts()) }},
		{name: "loop of ssh and scp", cmd: func() *exec.Cmd {
			return exec.Command("sh", "-c", fmt.Sprintf(`while read -r h; do sh -c '%s' sh "$h" || exit 1; done <%s`, each, b.file("hosts")))
		}},
		{name: "xargs -P32 of the same", cmd: func() *exec.Cmd {
			return exec.Command("sh", "-c", fmt.Sprintf(`xargs -P %s -n 1 sh -c '%s' sh <%s`, parallel, each, b.file("hosts")))
		}},
		{name: "parallel-ssh, parallel-scp", cmd: func() *exec.Cmd {
			return exec.Command("sh", "-c", fmt.Sprintf(`set -- -h %s -p %s -x "-F %s"; parallel-ssh "$@" mkdir -p %s && parallel-scp "$@" %s %s`,
				b.file("hosts"), parallel, b.sshConfig(), caDir, b.caPath(), caFile))
		}},
		{name: "Ansible, 50 forks", before: b.disconnectAnsible, cmd: func() *exec.Cmd { return b.ansible() }, twice: true},
		// Its operator has spared it two questions a host.
		{name: "Ansible, told where Python is", before: b.disconnectAnsible, cmd: func() *exec.Cmd {
			return b.ansible("ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3")
		}},
	}
}

// ours is the name of regctl in the tables.
const ours = "regctl"

// login is what both Go clients are told about logging in.
func (b *bench) login(hosts, knownHosts string) []string {
	return []string{"--hosts-file", hosts, "--user", "root", "--identity", b.key(), "--known-hosts", knownHosts, "--parallel", parallel}
}

func (b *bench) prototypeOn(hosts, knownHosts string) *exec.Cmd {
	return exec.Command(b.self, append([]string{"prototype", "--ca", b.caPath()}, b.login(hosts, knownHosts)...)...)
}

// trustClients is regctl's own command.
func (b *bench) trustClients(hosts, knownHosts string) *exec.Cmd {
	return exec.Command(b.regctl, append([]string{
		"trust-clients", "--dir", b.registry(), "--store", "docker", "--verify", "none", "--ssh-config", "none", "-o", "json",
	}, b.login(hosts, knownHosts)...)...)
}

// playbook is Ansible's own way to place a file. It needs no facts, so none are
// gathered, which by itself Ansible would do.
const playbook = `- hosts: all
  gather_facts: false
  tasks:
    - file: {path: %s, state: directory, mode: "0755"}
    - copy: {src: %s, dest: %s, mode: "0644"}
`

func (b *bench) writeAnsible() error {
	if err := b.write("ansible.cfg", "[defaults]\nforks = 50\n[ssh_connection]\npipelining = true\n"); err != nil {
		return err
	}
	return b.write("play.yml", fmt.Sprintf(playbook, caDir, b.caPath(), caFile))
}

// ansible keeps its connections for a minute, as it does by default: the second time
// it need not log in. env is laid over that of a plain installation.
func (b *bench) ansible(env ...string) *exec.Cmd {
	cmd := exec.Command("ansible-playbook", "-i", b.file("hosts"), b.file("play.yml"))
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+b.dir, "ANSIBLE_CONFIG="+b.file("ansible.cfg"), "ANSIBLE_SSH_COMMON_ARGS=-F "+b.sshConfig(),
		"ANSIBLE_SSH_CONTROL_PATH_DIR="+b.file("cp"))
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// disconnectAnsible ends the connections that Ansible left open.
func (b *bench) disconnectAnsible() error {
	sockets, err := filepath.Glob(b.file("cp/*"))
	if err != nil {
		return err
	}
	for _, socket := range sockets {
		out, err := exec.Command("ssh", "-F", "none", "-o", "ControlPath="+socket, "-O", "exit", "any").CombinedOutput()
		if _, gone := os.Stat(socket); err != nil && gone == nil {
			return fmt.Errorf("end %s: %w\n%s", socket, err, out)
		}
	}
	return nil
}
