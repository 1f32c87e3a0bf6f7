package host

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
)

// auth is one login's ways of proving who we are.
type auth struct {
	d *Dialer
	e endpoint
	// problem is what went wrong on our side: a key that cannot be read.
	problem error
}

func (d *Dialer) auth(e endpoint) *auth { return &auth{d: d, e: e} }

func (a *auth) methods() []ssh.AuthMethod {
	methods := []ssh.AuthMethod{ssh.PublicKeysCallback(func() ([]ssh.Signer, error) {
		signers, err := a.d.keys.signers(a.e)
		a.problem = err
		return signers, err
	})}
	if a.d.opts.Password == nil {
		return methods
	}
	answer := func() (string, error) {
		password, err := a.d.password.get()
		if err != nil {
			a.problem = err
		}
		return password.Reveal(), err
	}
	return append(methods, ssh.PasswordCallback(answer), ssh.KeyboardInteractive(
		func(_, _ string, questions []string, echos []bool) ([]string, error) {
			if len(questions) == 0 {
				return nil, nil
			}
			// One question that is not to be seen is the password; others are not for us.
			if len(questions) > 1 || echos[0] {
				return nil, errors.New("the host asks for more than a password")
			}
			password, err := answer()
			return []string{password}, err
		}))
}

// keyring has the agent's keys and those of files, each read once.
type keyring struct {
	passphrase func(path string) (secret.String, error)

	mu    sync.Mutex
	files map[string]*fileKey
	conn  net.Conn
	agent []ssh.Signer
	asked bool
}

func (k *keyring) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.conn != nil {
		_ = k.conn.Close() // it was only read from
	}
}

// signers are the keys to offer: first those that were named, then the agent's.
// An sshd lets us try six.
func (k *keyring) signers(e endpoint) ([]ssh.Signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var files []ssh.Signer
	for _, path := range e.identities {
		key, err := k.file(path)
		if errors.Is(err, fs.ErrNotExist) && !e.chosen {
			continue
		}
		if err != nil {
			return nil, fault.Usage("name a private key that you may read with --identity", "%s: key %w", e.given.Given, Failed("read", path, err))
		}
		if key.certified != nil {
			files = append(files, key.certified)
		}
		files = append(files, key)
	}
	inAgent := k.ofAgent()
	var list []ssh.Signer
	for i, signer := range files {
		// The agent knows a key that has a passphrase without asking.
		if j := indexOf(inAgent, signer); j >= 0 {
			files[i] = inAgent[j]
		}
	}
	rest := slices.DeleteFunc(slices.Clone(inAgent), func(s ssh.Signer) bool { return indexOf(files, s) >= 0 })
	if e.only || e.chosen {
		rest = nil
	}
	if e.chosen {
		return append(list, files...), nil
	}
	// Those of files that the agent has too come first of all.
	for _, s := range files {
		if indexOf(inAgent, s) >= 0 {
			list = append(list, s)
		}
	}
	list = append(list, rest...)
	for _, s := range files {
		if indexOf(inAgent, s) < 0 {
			list = append(list, s)
		}
	}
	return list, nil
}

func indexOf(list []ssh.Signer, s ssh.Signer) int {
	return slices.IndexFunc(list, func(other ssh.Signer) bool {
		return string(other.PublicKey().Marshal()) == string(s.PublicKey().Marshal())
	})
}

// ofAgent returns the agent's keys, none if there is no agent.
func (k *keyring) ofAgent() []ssh.Signer {
	if k.asked {
		return k.agent
	}
	k.asked = true
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return nil
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil // an agent that has gone is no agent
	}
	k.conn = conn
	k.agent, err = agent.NewClient(conn).Signers()
	if err != nil {
		return nil
	}
	return k.agent
}

func (k *keyring) file(path string) (*fileKey, error) {
	if key, ok := k.files[path]; ok {
		return key, nil
	}
	key, err := readKey(path, k.passphrase)
	if err != nil {
		return nil, err
	}
	if k.files == nil {
		k.files = map[string]*fileKey{}
	}
	k.files[path] = key
	return key, nil
}

// fileKey is a private key of a file. One with a passphrase asks for it when a host
// has said that it would take the key, and once.
type fileKey struct {
	path      string
	data      []byte
	ask       func(path string) (secret.String, error)
	public    ssh.PublicKey
	certified ssh.Signer

	once   sync.Once
	signer ssh.Signer
	err    error
}

func readKey(path string, ask func(string) (secret.String, error)) (*fileKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	k := &fileKey{path: path, data: data, ask: ask}
	signer, err := ssh.ParsePrivateKey(data)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		k.public = signer.PublicKey()
		k.once.Do(func() { k.signer = signer })
	case errors.As(err, &locked):
		if k.public = locked.PublicKey; k.public == nil {
			k.public, err = readPublic(path + ".pub")
			if err != nil {
				return nil, err
			}
		}
	default:
		return nil, err
	}
	if public, err := readPublic(path + "-cert.pub"); err == nil {
		if cert, ok := public.(*ssh.Certificate); ok {
			if s, err := ssh.NewCertSigner(cert, k); err == nil {
				k.certified = s
			}
		}
	}
	return k, nil
}

func readPublic(path string) (ssh.PublicKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(data)
	return key, err
}

func (k *fileKey) unlock() (ssh.Signer, error) {
	k.once.Do(func() {
		if k.ask == nil {
			k.err = fault.Fail("add the key to ssh-agent (ssh-add)", "key %s has a passphrase", k.path)
			return
		}
		passphrase, err := k.ask(k.path)
		if err != nil {
			k.err = err
			return
		}
		if k.signer, err = ssh.ParsePrivateKeyWithPassphrase(k.data, []byte(passphrase.Reveal())); err != nil {
			k.err = fault.Fail("run the command again with the right one", "key %s: that is not its passphrase", k.path)
		}
	})
	return k.signer, k.err
}

// PublicKey implements ssh.Signer.
func (k *fileKey) PublicKey() ssh.PublicKey { return k.public }

// Sign implements ssh.Signer.
func (k *fileKey) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	signer, err := k.unlock()
	if err != nil {
		return nil, err
	}
	return signer.Sign(rand, data)
}

// SignWithAlgorithm implements ssh.AlgorithmSigner: an RSA key signs with SHA-2.
func (k *fileKey) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	signer, err := k.unlock()
	if err != nil {
		return nil, err
	}
	if s, ok := signer.(ssh.AlgorithmSigner); ok {
		return s.SignWithAlgorithm(rand, data, algorithm)
	}
	return signer.Sign(rand, data)
}
