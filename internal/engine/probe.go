package engine

import (
	"context"
	"net"
	"os"

	"go.yaml.in/yaml/v3"
)

// ProbeConfig asks once whether the registry that a config.yml describes answers
// on this machine, or in this container. The certificate is not checked: only
// whether somebody answers is asked.
func ProbeConfig(ctx context.Context, path string) error {
	var config struct {
		HTTP struct {
			Net  string `yaml:"net"`
			Addr string `yaml:"addr"`
			TLS  struct {
				Certificate string `yaml:"certificate"`
			} `yaml:"tls"`
		} `yaml:"http"`
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(data, &config); err != nil {
		return err
	}
	if config.HTTP.Net == "unix" {
		return Endpoint{URL: "http://localhost", Addr: config.HTTP.Addr}.Probe(ctx)
	}
	address, port, err := net.SplitHostPort(config.HTTP.Addr)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(address); address == "" || ip != nil && ip.IsUnspecified() {
		address = "127.0.0.1"
	}
	e := Endpoint{URL: "http://" + net.JoinHostPort(address, port)}
	if config.HTTP.TLS.Certificate != "" {
		e.URL = "https://" + net.JoinHostPort(address, port)
	}
	return e.Probe(ctx)
}
