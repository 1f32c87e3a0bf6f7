package distconfig

import (
	"net"
	"net/url"
	"strconv"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/spec"
)

// What regctl.yaml has keys of its own for, taken out of distribution's.

func (i *importer) address(s *spec.Spec) error {
	s.Port = spec.DefaultPort
	network, netLine := i.takeText("http.net")
	addr, line := i.takeText("http.addr")
	if network == "unix" {
		i.note(netLine, "http.net", "", "regctl listens on TCP alone; port is "+strconv.Itoa(s.Port))
		return nil
	}
	if addr == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		s.Port, err = strconv.Atoi(port)
	}
	if err != nil || s.Port < 1 || s.Port > 65535 {
		return fault.Usage("write it as :5000 or 127.0.0.1:5000", "line %d: http.addr: %s is no HOST:PORT", line, addr)
	}
	i.note(line, "http.addr", "port", "")
	switch host {
	case "", "::":
	case "localhost":
		s.Bind = "127.0.0.1"
	default:
		s.Bind = host
	}
	if s.Bind != "" {
		i.note(line, "http.addr", "bind", "")
	}
	return nil
}

func (i *importer) tls(s *spec.Spec) error {
	s.TLS.Mode = spec.TLSNone
	if acme, line := i.take("http.tls.letsencrypt"); acme != nil {
		i.note(line, "http.tls.letsencrypt", "", "tls.mode is selfsigned: a CA and a certificate of regctl's own")
		s.TLS.Mode = spec.TLSSelfSigned
	}
	var line, keyLine int
	s.TLS.Cert, line = i.takeText("http.tls.certificate")
	s.TLS.Key, keyLine = i.takeText("http.tls.key")
	switch {
	case s.TLS.Cert == "" && s.TLS.Key == "":
		return nil
	case s.TLS.Cert == "" || s.TLS.Key == "":
		return fault.Usage("give http.tls both certificate and key, or neither",
			"line %d: http.tls: a certificate needs its key, and a key its certificate", max(line, keyLine))
	}
	s.TLS.Mode = spec.TLSFiles
	i.note(line, "http.tls.certificate", "tls.cert", "")
	i.note(keyLine, "http.tls.key", "tls.key", "")
	return nil
}

func (i *importer) http2(s *spec.Spec) error {
	if disabled, line := i.take("http.http2.disabled"); disabled != nil {
		s.HTTP2 = disabled == false
		i.note(line, "http.http2.disabled", "http2", "")
	}
	return nil
}

// debug leaves out what the registry inside regctl would refuse to start with.
func (i *importer) debug(*spec.Spec) error {
	if d, line := i.take("http.debug"); d != nil {
		i.note(line, "http.debug", "", "the registry inside regctl serves no debug port")
	}
	return nil
}

// hosts copies http.host's name; the key itself stays, for it decides what
// URLs the registry answers with.
func (i *importer) hosts(s *spec.Spec) error {
	n := find(i.doc, "http.host")
	if n == nil {
		return nil
	}
	if u, err := url.Parse(n.Value); err == nil && u.Hostname() != "" {
		s.Hosts = []string{u.Hostname()}
		i.note(n.Line, "http.host", "hosts", "kept as config.http.host too: every URL the registry answers with names it")
	}
	return nil
}

func (i *importer) storage(s *spec.Spec) error {
	s.Storage.Driver = spec.StorageFilesystem
	if name, ok := i.config["storage"].(string); ok {
		i.config["storage"] = map[string]any{name: map[string]any{}}
	}
	storage, _ := i.config["storage"].(map[string]any)
	if _, inMemory := storage[spec.StorageInMemory]; inMemory {
		s.Storage.Driver = spec.StorageInMemory
	}
	if root, line := i.takeText("storage.filesystem.rootdirectory"); root != "" {
		i.note(line, "storage.filesystem.rootdirectory", "data/ of the registry's directory",
			"move the images there from "+root)
	}
	// The driver alone says no more than storage.driver does.
	if driver, ok := storage[s.Storage.Driver].(map[string]any); ok && len(driver) == 0 || storage[s.Storage.Driver] == nil {
		delete(storage, s.Storage.Driver)
	}
	return nil
}

// logLevel gives the key log.level replaced its present name.
func (i *importer) logLevel(*spec.Spec) error {
	level, line := i.take("loglevel")
	if level == nil {
		return nil
	}
	if i.lay("log.level", level) {
		i.note(line, "loglevel", "", "log.level goes before it")
	} else {
		i.note(line, "loglevel", "config.log.level", "")
	}
	return nil
}
