package engine

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/templates"
)

// KindCrontab is our one line in the calling user's crontab. Ref.Path is the
// registry's name, Data the line without its end.
const KindCrontab host.Kind = "crontab"

// CronPath is the file of the registry name in cron's own folder. cron skips
// files whose names hold anything but letters, digits, - and _ (cron(8)).
func CronPath(name string) string {
	return "/etc/cron.d/regctl-" + strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_", r) || (r < 128 && (r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z')) {
			return r
		}
		return '_'
	}, name)
}

// CronFile is the content of the file at CronPath(name): lines as CronBoot and
// CronRenew make them.
func CronFile(name string, lines ...string) ([]byte, error) {
	text, err := templates.FS.ReadFile("cron.tmpl")
	if err != nil {
		return nil, err
	}
	tmpl, err := template.New("cron").Parse(string(text))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = tmpl.Execute(&out, map[string]any{"Name": name, "Lines": lines})
	return out.Bytes(), err
}

// CronBoot is the line that has root start the registry of dir at boot.
func CronBoot(exe, dir string) string { return "@reboot root " + bootCommand(exe, dir) }

// CronLine is the same in a user's crontab.
func CronLine(name, exe, dir string) string {
	return "@reboot " + bootCommand(exe, dir) + " " + cronMark(name)
}

// cronMark ends our line; to the shell it is a comment.
func cronMark(name string) string { return "# regctl:" + name }

// BootLog is what cron's start of the registry in dir said.
func BootLog(dir string) string { return filepath.Join(dir, "boot.log") }

// bootCommand starts the registry of dir and keeps what was said in BootLog, for
// cron would mail it. A percent sign is a line end to cron unless escaped
// (crontab(5)), also within quotes.
func bootCommand(exe, dir string) string {
	return cronCommand(BootLog(dir), exe, "start", "--dir", dir)
}

// cronCommand is a command line for cron whose output goes to a file.
func cronCommand(log string, argv ...string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		words[i] = word
		if strings.Trim(word, cronPlain) != "" {
			words[i] = cronQuote(word)
		}
	}
	words[0] = cronQuote(argv[0])
	return strings.ReplaceAll(strings.Join(words, " ")+" >"+cronQuote(log)+" 2>&1", "%", `\%`)
}

// cronPlain are characters that need no quotes.
const cronPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

func cronQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// Crontab is the host.Handler of KindCrontab. It leaves every other line as it
// is, and removes a crontab that has become empty.
type Crontab struct{}

// Look finds our line.
func (Crontab) Look(ctx context.Context, name string) (host.Fact, error) {
	table, err := readCrontab(ctx)
	if err != nil {
		return host.Fact{}, err
	}
	for line := range strings.Lines(table) {
		if line = strings.TrimSuffix(line, "\n"); strings.HasSuffix(line, " "+cronMark(name)) {
			return host.Fact{Exists: true, Data: []byte(line)}, nil
		}
	}
	return host.Fact{}, nil
}

// Do adds, changes or removes our line.
func (h Crontab) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	table, err := readCrontab(ctx)
	if err != nil {
		return host.Fact{}, err
	}
	want := string(op.Want.Data)
	if op.Action == host.Remove {
		want = ""
	}
	if next := editCrontab(table, op.Path, want); next != table {
		if err := writeCrontab(ctx, next); err != nil {
			return host.Fact{}, err
		}
	}
	return h.Look(ctx, op.Path)
}

// editCrontab puts line where the registry's line was, or at the end; "" takes it
// away.
func editCrontab(table, name, line string) string {
	var out strings.Builder
	if line != "" {
		line += "\n"
	}
	done := false
	for old := range strings.Lines(table) {
		switch {
		case !strings.HasSuffix(strings.TrimSuffix(old, "\n"), " "+cronMark(name)):
			out.WriteString(old)
		case !done:
			out.WriteString(line)
			done = true
		}
	}
	if !done && line != "" {
		if s := out.String(); s != "" && !strings.HasSuffix(s, "\n") {
			out.WriteString("\n")
		}
		out.WriteString(line)
	}
	return out.String()
}

func readCrontab(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "crontab", "-l")
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		if strings.Contains(said.String(), "no crontab for") {
			return "", nil
		}
		return "", commandFault("crontab -l", err, said.String())
	}
	return out.String(), nil
}

func writeCrontab(ctx context.Context, table string) error {
	args := []string{"-"}
	if table == "" {
		args = []string{"-r"}
	}
	cmd := exec.CommandContext(ctx, "crontab", args...)
	cmd.Stdin = strings.NewReader(table)
	if said, err := cmd.CombinedOutput(); err != nil {
		return commandFault("crontab "+args[0], err, string(said))
	}
	return nil
}
