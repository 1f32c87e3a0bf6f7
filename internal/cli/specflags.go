package cli

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
	"github.com/regctl/regctl/internal/distconfig"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/spec"
)

// specFlags are the flags that say what registry is wanted. Only those given
// (on the command line, in the environment or in a file) count; the rest keep
// what regctl.yaml says, or the default.
type specFlags struct {
	hosts, addHosts, set      []string
	bind, tls, keyType        string
	cert, key, caCert         string
	volume                    string
	runtime, image, linuxFile string
	port, certDays, caDays    int
	http2                     bool
	acme                      acmeFlags
	auth                      authFlags
	proxy                     proxyFlags
	cluster                   clusterFlags
	storage                   storageFlags
	mirror                    mirrorFlags
	swarm                     swarmFlags
}

func (s *specFlags) register(cmd *cobra.Command) {
	d := spec.Default()
	f := cmd.Flags()
	f.StringSliceVar(&s.hosts, "host", nil, "a DNS name or IP address of the registry; repeat it; the first is what clients use (default: this machine's names and addresses)")
	f.IntVar(&s.port, "port", d.Port, "the port clients use (behind a proxy 443, or 80 with --tls none)")
	f.StringVar(&s.bind, "bind", "", "listen on this address alone (default: all, IPv4 and IPv6)")

	f.StringVar(&s.tls, "tls", d.TLS.Mode, "selfsigned (a private CA), letsencrypt (an ACME server), files (your own certificate) or none (plain HTTP)")
	f.StringVar(&s.cert, "cert", "", "with --tls files: the certificate and its chain, PEM")
	f.StringVar(&s.key, "key", "", "with --tls files: the private key, PEM; you are asked for its passphrase if it has one")
	f.StringVar(&s.caCert, "ca-cert", "", "with --tls files or letsencrypt: the CA that clients must trust, when it is not a public one")
	f.IntVar(&s.certDays, "cert-days", d.TLS.CertDays, "life of the self-signed leaf, in days")
	f.IntVar(&s.caDays, "ca-days", d.TLS.CADays, "life of the private CA, in days")
	f.StringVar(&s.keyType, "key-type", d.TLS.KeyType, "ecdsa256, ecdsa384, rsa2048, rsa4096 or ed25519")

	s.acme.register(cmd)

	s.auth.register(cmd)

	s.proxy.register(cmd)
	s.mirror.register(cmd)

	s.cluster.register(cmd)
	s.swarm.register(cmd)

	s.storage.register(cmd)
	f.StringVar(&s.volume, "data-volume", "", "keep the images in this named Docker volume instead of DIR/data")
	f.StringVar(&s.runtime, "runtime", "auto", "auto, docker, process or swarm (a service of the Docker Swarm that this machine manages); auto is docker where Docker is installed, else process")
	f.StringVar(&s.image, "image", "", "run this stock registry image (2 or 3) instead of the embedded registry")
	f.StringVar(&s.linuxFile, "linux-binary", "", "regctl for linux, to build the image from where this executable is another system's")
	f.StringSliceVar(&s.addHosts, "add-host", nil, "NAME:IP for the container's /etc/hosts; repeat it")
	f.BoolVar(&s.http2, "http2", false, "offer HTTP/2 over TLS (slower for large layers)")
	f.StringArrayVar(&s.set, "set", nil, "KEY=VALUE, any key of distribution's config.yml such as log.level=debug; repeat it")

	for flag, values := range map[string][]string{
		"tls":      {spec.TLSSelfSigned, spec.TLSLetsEncrypt, spec.TLSFiles, spec.TLSNone},
		"key-type": {"ecdsa256", "ecdsa384", "rsa2048", "rsa4096", "ed25519"},
		"runtime":  {"auto", spec.RuntimeDocker, spec.RuntimeProcess, spec.RuntimeSwarm},
	} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// over returns base with every given flag laid over it. Runtime auto is left as
// base has it.
func (s *specFlags) over(cmd *cobra.Command, base spec.Spec) (spec.Spec, error) {
	given := cmd.Flags().Changed
	out := base
	if given("host") {
		hosts, err := spec.NormalizeHosts(s.hosts)
		if err != nil {
			return out, err
		}
		out.Hosts = hosts
	}
	for flag, to := range map[string]*int{"port": &out.Port, "cert-days": &out.TLS.CertDays, "ca-days": &out.TLS.CADays} {
		if given(flag) {
			*to, _ = cmd.Flags().GetInt(flag)
		}
	}
	for flag, to := range map[string]*string{
		"bind": &out.Bind, "tls": &out.TLS.Mode, "key-type": &out.TLS.KeyType, "data-volume": &out.Storage.Volume, "image": &out.Image,
	} {
		if given(flag) {
			*to, _ = cmd.Flags().GetString(flag)
		}
	}
	for flag, to := range map[string]*string{
		"cert": &out.TLS.Cert, "key": &out.TLS.Key, "ca-cert": &out.TLS.CACert, "linux-binary": &out.LinuxBinary,
	} {
		if given(flag) {
			path, _ := cmd.Flags().GetString(flag)
			*to = absolute(path)
		}
	}
	s.acme.over(given, &out.TLS)
	if given("runtime") && s.runtime != "auto" {
		out.Runtime = s.runtime
	}
	if given("add-host") {
		out.AddHosts = slices.Clone(s.addHosts)
	}
	if given("http2") {
		out.HTTP2 = s.http2
	}
	s.auth.over(given, &out)
	s.proxy.over(given, base, &out)
	s.cluster.over(given, &out)
	s.swarm.over(given, &out)
	if n := s.cluster.replicas; n == 0 && given("replicas") { // in regctl.yaml that is one
		return out, fault.Usage("a number from 1 on", "replicas (--replicas): %d is no number of registries", n)
	}
	if s.storage.driver == spec.StorageGCS && given("storage") && out.Image == "" {
		if err := embeddedregistry.NeedDriver(spec.StorageGCS); err != nil { // before what else it needs
			return out, err
		}
	}
	if err := s.storage.over(given, &out.Storage); err != nil {
		return out, err
	}
	s.mirror.over(given, &out)
	return out, s.setOver(&out)
}

// setOver lays the --set values over a copy of the configuration keys.
func (s *specFlags) setOver(out *spec.Spec) error {
	if len(s.set) == 0 {
		return nil
	}
	config := cloneMap(out.Config)
	for _, kv := range s.set {
		if !strings.Contains(kv, "=") {
			return fault.Usage("for example --set log.level=debug", "--set %s: want KEY=VALUE", kv)
		}
		if err := notOnCommandLine(kv); err != nil {
			return err
		}
		if err := distconfig.Set(config, kv); err != nil {
			return fmt.Errorf("--set %w", err)
		}
	}
	out.Config = config
	return nil
}

// notOnCommandLine refuses a secret where everybody on this machine can read it.
func notOnCommandLine(kv string) error {
	key, _, _ := strings.Cut(kv, "=")
	if !distconfig.IsSecret(lastName(key)) {
		return nil
	}
	hint := "write it under config: in regctl.yaml, where init --no-start has made one, and run regctl start"
	if key == "http.secret" {
		hint = "put it into a file for --http-secret-file"
	}
	return fault.Usage(hint, "--set %s: everybody on this machine can read a command line", key)
}

func cloneMap(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		if sub, ok := v.(map[string]any); ok {
			v = cloneMap(sub)
		}
		out[k] = v
	}
	return out
}

func absolute(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
