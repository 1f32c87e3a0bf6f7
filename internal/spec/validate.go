package spec

import (
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/distribution/reference"
)

// maxDays is a hundred years; beyond it certificates' dates become doubtful.
const maxDays = 36500

// Validate reports the first thing that is wrong with a spec, as a usage fault
// that names the key in regctl.yaml and the flag. A runtime that is not settled
// yet ("") passes. It looks at nothing but the spec: whether files are there or
// a port is free is for others to find out.
func (s Spec) Validate() error {
	if f := s.check(); f != nil {
		return f.error()
	}
	return nil
}

// check returns the first finding, or nil.
func (s Spec) check() *finding {
	for _, check := range []func() *finding{
		s.checkVersion, s.checkName, s.checkHosts, s.checkPort, s.checkBind,
		s.checkTLS, s.checkDays, s.checkOwnPair, s.checkACME, s.checkAuth, s.checkProxy, s.checkReplicas, s.checkRedis, s.checkStorage, s.checkMirror,
		s.checkRuntime, s.checkSwarm, s.checkImage, s.checkAddHosts,
	} {
		if f := check(); f != nil {
			return f
		}
	}
	return nil
}

func (s Spec) checkVersion() *finding {
	switch {
	case s.Version == 0:
		return newFinding("version", "write version: 1 on its first line", "it is missing")
	case s.Version > Version:
		return newFinding("version", "use the regctl that wrote it, or a newer one", "%d is newer than this regctl knows, which is %d", s.Version, Version)
	case s.Version < Version:
		return newFinding("version", "write version: 1", "there is no version %d", s.Version)
	}
	return nil
}

// nameForm is what Docker takes for a container's name, short enough to leave
// room for what is put before and after it.
var nameForm = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,47}$`)

func (s Spec) checkName() *finding {
	if strings.HasSuffix(s.Name, "-renew") {
		return newFinding("name", "choose one with another end", "%q would be mistaken for what renews the certificate of %s", s.Name, strings.TrimSuffix(s.Name, "-renew"))
	}
	if s.Name == "undo" { // as root, the registry's directory would be that of package host's originals
		return newFinding("name", "choose another name", "%q is the folder in which regctl keeps what it changed on a client", s.Name)
	}
	if !nameForm.MatchString(s.Name) {
		return newFinding("name", "2 to 48 letters, digits, hyphens, dots or underscores, a letter or digit first", "%q cannot name a container and a directory", s.Name)
	}
	return nil
}

func (s Spec) checkHosts() *finding {
	if len(s.Hosts) == 0 {
		return newFinding("hosts", "give the name that clients use: registry.test", "there is none")
	}
	for i, host := range s.Hosts {
		normal, problem := normalizeHost(host)
		switch {
		case problem != nil:
			return problem
		case normal != host:
			return newFinding("hosts", "write it as "+normal, "%q is not in its normal form", host)
		case slices.Contains(s.Hosts[:i], host):
			return newFinding("hosts", "name it once", "%q is there twice", host)
		}
	}
	return nil
}

func (s Spec) checkPort() *finding {
	if s.Port < 1 || s.Port > 65535 {
		return newFinding("port", "a number from 1 to 65535", "%d is no port", s.Port)
	}
	first := s.First()
	if s.Port != 443 && s.Port != 80 || first == "localhost" || strings.ContainsAny(first, ".:") {
		return nil
	}
	return newFinding("hosts", "put a name with a dot or an address first, or use another --port",
		"%q has no dot: on port %d Docker would take it for a namespace on Docker Hub", first, s.Port)
}

func (s Spec) checkBind() *finding {
	if s.Bind == "" {
		return nil
	}
	addr, err := netip.ParseAddr(s.Bind)
	switch {
	case err != nil:
		return newFinding("bind", "an IP address of this machine without brackets, such as 127.0.0.1; leave it out for all", "%q is no IP address", s.Bind)
	case addr.Zone() != "":
		return newFinding("bind", "give an address that needs no zone", "%q has a zone", s.Bind)
	case addr.IsMulticast():
		return newFinding("bind", "give an address of this machine", "%q is a multicast address", s.Bind)
	}
	return nil
}

func (s Spec) checkTLS() *finding {
	if f := choice("tls.mode", s.TLS.Mode, TLSSelfSigned, TLSFiles, TLSLetsEncrypt, TLSNone); f != nil {
		return f
	}
	return choice("tls.keyType", s.TLS.KeyType, "ecdsa256", "ecdsa384", "rsa2048", "rsa4096", "ed25519")
}

func (s Spec) checkDays() *finding {
	for _, d := range []struct {
		key  string
		days int
	}{{"tls.certDays", s.TLS.CertDays}, {"tls.caDays", s.TLS.CADays}} {
		if d.days < 1 || d.days > maxDays {
			return newFinding(d.key, "a number of days from 1 to 36500", "%d days is no life for a certificate", d.days)
		}
	}
	if s.TLS.CertDays > s.TLS.CADays {
		return newFinding("tls.certDays", "give the CA a longer life with --ca-days, or the leaf a shorter one", "a leaf of %d days would outlive its CA of %d", s.TLS.CertDays, s.TLS.CADays)
	}
	return nil
}

func (s Spec) checkOwnPair() *finding {
	for _, file := range []struct {
		key, path string
		needed    bool
	}{{"tls.cert", s.TLS.Cert, true}, {"tls.key", s.TLS.Key, true}, {"tls.caCert", s.TLS.CACert, false}} {
		switch {
		case s.TLS.Mode == TLSLetsEncrypt && file.key == "tls.caCert":
		case s.TLS.Mode != TLSFiles && file.path != "":
			return newFinding(file.key, "add --tls files, or leave it out", "only --tls files has a use for it")
		case s.TLS.Mode == TLSFiles && file.needed && file.path == "":
			return newFinding(file.key, "give both --cert FILE and --key FILE", "--tls files needs it")
		}
		if f := checkPath(file.key, file.path); f != nil {
			return f
		}
	}
	return nil
}

// checkPath wants an absolute path: a relative one would mean another file with
// every folder that regctl is run from.
func checkPath(key, path string) *finding {
	switch {
	case path == "":
		return nil
	case !filepath.IsAbs(path):
		return newFinding(key, "write the whole path, from the root on", "%q is not an absolute path", path)
	case !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl):
		return newFinding(key, "rename the file", "%q has characters in it that no text file can hold", path)
	}
	return nil
}

func (s Spec) checkRuntime() *finding {
	if s.Runtime == "" {
		return nil
	}
	if f := choice("runtime", s.Runtime, RuntimeDocker, RuntimeProcess, RuntimeSwarm); f != nil {
		return f
	}
	if s.Runtime != RuntimeProcess {
		return nil
	}
	const hint = "leave it out, or use --runtime docker"
	switch {
	case s.Image != "":
		return newFinding("image", hint, "a process runs from no image")
	case s.Storage.Volume != "":
		return newFinding("storage.volume", hint, "a process has no Docker volumes")
	case len(s.AddHosts) > 0:
		return newFinding("addHosts", "put the line into this machine's own /etc/hosts", "a process has no /etc/hosts of its own")
	}
	return nil
}

func (s Spec) checkImage() *finding {
	if f := checkPath("linuxBinary", s.LinuxBinary); f != nil {
		return f
	}
	if s.Image == "" {
		return nil
	}
	if _, err := reference.ParseNormalizedNamed(s.Image); err != nil {
		return newFinding("image", "for example registry:2", "%q is no image reference: %v", s.Image, err)
	}
	if s.LinuxBinary != "" {
		return newFinding("linuxBinary", "give --image or --linux-binary, not both", "the image is %s, not our own", s.Image)
	}
	return nil
}

func (s Spec) checkAddHosts() *finding {
	for _, line := range s.AddHosts {
		name, ip, found := strings.Cut(line, ":")
		if !found {
			return newFinding("addHosts", "for example --add-host cache.test:10.0.0.5", "%q is not NAME:IP", line)
		}
		if normal, problem := normalizeName(name, name); problem != nil || normal != strings.ToLower(name) {
			return newFinding("addHosts", "for example --add-host cache.test:10.0.0.5", "%q: %q is no DNS name", line, name)
		}
		if addr, err := netip.ParseAddr(ip); err != nil || addr.Zone() != "" {
			return newFinding("addHosts", "for example cache.test:10.0.0.5 or cache.test:2001:db8::5, without brackets", "%q: %q is no IP address", line, ip)
		}
	}
	return nil
}
