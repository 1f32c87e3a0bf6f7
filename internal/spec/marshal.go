package spec

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// header opens a fresh regctl.yaml.
const header = `# What registry you want. Edit it, look at what would change with "regctl plan", make it so with "regctl apply".
# docs/configuration.md describes every key; one that does not exist is refused.
`

// Marshal writes a fresh regctl.yaml, with comments for whoever edits it. Parse
// reads the same spec back. A spec that Validate refuses is refused here too.
func Marshal(s Spec) ([]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	w := &writer{}
	w.line(header[:len(header)-1])
	w.key("version", s.Version, "")
	w.key("name", s.Name, "")
	w.line("\n# DNS names and IP addresses; the first is what clients use, all of them are in the certificate.")
	w.key("hosts", s.Hosts, "")
	w.key("port", s.Port, "the port that clients use")
	w.optional("bind", s.Bind, "192.168.1.10", "listen on this address alone; left out: all, IPv4 and IPv6")
	w.line("\ntls:")
	w.tls(s.TLS)
	w.auth(s.Auth)
	w.proxy(s.Proxy)
	w.cluster(s)
	w.line("\nstorage:")
	w.key("  driver", s.Storage.Driver, "filesystem, s3, azure, gcs, oss, swift, or inmemory for tests")
	if s.Storage.Driver == StorageFilesystem {
		w.optional("  volume", s.Storage.Volume, "images", "a named Docker volume instead of the folder data")
	}
	if s.Storage.Shared {
		w.key("  shared", s.Storage.Shared, "the folder data is one file system on all nodes")
	}
	if len(s.Storage.Options) > 0 {
		w.line("  # The driver's parameters, in distribution's names; those that are secret are in secrets/storage.")
		w.key("  options", s.Storage.Options, "")
	}
	w.mirror(s.Mirror)
	w.line("")
	if s.Runtime != "" {
		w.key("runtime", s.Runtime, "docker, process or swarm; settled by init")
	}
	w.swarm(s)
	w.optional("image", s.Image, "registry:2", "a stock image instead of the registry inside regctl")
	if s.LinuxBinary != "" {
		w.key("linuxBinary", s.LinuxBinary, "regctl for linux, which the image is made of")
	}
	if len(s.AddHosts) > 0 {
		w.key("addHosts", s.AddHosts, "")
	}
	if s.HTTP2 {
		w.key("http2", s.HTTP2, "slower than HTTP/1.1 for large layers")
	}
	w.line("\n# Distribution's own configuration keys, laid over what regctl renders.")
	if len(s.Config) > 0 {
		w.key("config", s.Config, "")
	} else {
		w.line("# config:\n#   log:\n#     level: debug")
	}
	return w.out.Bytes(), w.err
}

// writer collects lines, and the first error.
type writer struct {
	out bytes.Buffer
	err error
}

func (w *writer) line(text string) { fmt.Fprintln(&w.out, text) }

// key writes one key, its indentation before it, and a comment behind it.
func (w *writer) key(key string, value any, comment string) {
	name := strings.TrimLeft(key, " ")
	text, err := entryText(name, value)
	if err != nil {
		w.err = err
		return
	}
	indent := key[:len(key)-len(name)]
	text = indent + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+indent)
	if comment != "" {
		text = fmt.Sprintf("%-24s # %s", text, comment)
	}
	w.line(text)
}

// optional writes a key, or as a comment how it would look.
func (w *writer) optional(key, value, example, comment string) {
	if value != "" {
		w.key(key, value, comment)
		return
	}
	name := strings.TrimLeft(key, " ")
	w.line(fmt.Sprintf("%-24s # %s", key[:len(key)-len(name)]+"# "+name+": "+example, comment))
}

func (w *writer) tls(t TLS) {
	w.key("  mode", t.Mode, "selfsigned (a private CA), letsencrypt (an ACME server), files (your own certificate) or none (plain HTTP)")
	d := Default().TLS
	if t.Mode == TLSSelfSigned || t.CertDays != d.CertDays {
		w.key("  certDays", t.CertDays, "life of the certificate; renewed at two thirds of it")
	}
	if t.Mode == TLSSelfSigned || t.CADays != d.CADays {
		w.key("  caDays", t.CADays, "life of the private CA")
	}
	if t.Mode == TLSSelfSigned || t.KeyType != d.KeyType {
		w.key("  keyType", t.KeyType, "ecdsa256, ecdsa384, rsa2048, rsa4096 or ed25519")
	}
	for _, file := range []struct{ key, path, comment string }{
		{"  cert", t.Cert, "PEM, leaf first, then its chain"},
		{"  key", t.Key, "PEM"},
		{"  caCert", t.CACert, "what clients must trust"},
	} {
		if file.path != "" {
			w.key(file.key, file.path, file.comment)
		}
	}
	for _, setting := range t.acme() {
		if value := setting.value.Elem(); !value.IsZero() {
			w.key("  "+setting.key, value.Interface(), setting.comment)
		}
	}
}

// entryText is one "key: value" in block style, with its newline.
func entryText(key string, value any) (string, error) {
	return blockText(map[string]any{key: value})
}

func blockText(v any) (string, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(v); err != nil {
		return "", err
	}
	return out.String(), encoder.Close()
}
