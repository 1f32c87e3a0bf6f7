package export

import (
	"fmt"
	"net"
	"strconv"
)

// Compose is w as a Compose file (compose-spec, also docker-compose 1.27 and later). The
// files stay where regctl keeps them.
func Compose(w Workload) ([]byte, error) {
	s := composeService{
		Image: w.Image, ContainerName: w.Name, User: fmt.Sprintf("%d:%d", w.UID, w.GID), Command: w.Args,
		Restart: "always", ReadOnly: true, CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges:true"},
		StopGracePeriod: strconv.Itoa(stopSeconds) + "s", Environment: w.Env, ExtraHosts: w.AddHosts,
		Ports: []string{published(w)},
	}
	if w.Health != nil {
		s.Healthcheck = &composeHealth{append([]string{"CMD"}, w.Health...), "30s", "5s", "10s", 3}
	}
	file := composeFile{Services: map[string]composeService{}}
	for _, m := range w.Mounts {
		kind := "bind"
		if m.Volume {
			kind = "volume"
			if file.Volumes == nil {
				file.Volumes = map[string]composeVolume{}
			}
			file.Volumes[m.Source] = composeVolume{External: true}
		}
		s.Volumes = append(s.Volumes, composeMount{kind, m.Source, m.Target, m.ReadOnly})
	}
	file.Services["registry"] = s
	return document(file)
}

// published is [ADDR:]PORT:INSIDE.
func published(w Workload) string {
	port := strconv.Itoa(w.Port)
	if w.Bind != "" {
		port = net.JoinHostPort(w.Bind, port)
	}
	return fmt.Sprintf("%s:%d", port, w.Inside)
}

type composeFile struct {
	Services map[string]composeService `yaml:"services"`
	Volumes  map[string]composeVolume  `yaml:"volumes,omitempty"`
}

type composeService struct {
	Image           string         `yaml:"image"`
	ContainerName   string         `yaml:"container_name"`
	User            string         `yaml:"user"`
	Command         []string       `yaml:"command,omitempty"`
	Restart         string         `yaml:"restart"`
	ReadOnly        bool           `yaml:"read_only"`
	CapDrop         []string       `yaml:"cap_drop"`
	SecurityOpt     []string       `yaml:"security_opt"`
	StopGracePeriod string         `yaml:"stop_grace_period"`
	Environment     []string       `yaml:"environment,omitempty"`
	ExtraHosts      []string       `yaml:"extra_hosts,omitempty"`
	Ports           []string       `yaml:"ports"`
	Volumes         []composeMount `yaml:"volumes"`
	Healthcheck     *composeHealth `yaml:"healthcheck,omitempty"`
}

type composeMount struct {
	Type     string `yaml:"type"`
	Source   string `yaml:"source"`
	Target   string `yaml:"target"`
	ReadOnly bool   `yaml:"read_only,omitempty"`
}

type composeHealth struct {
	Test        []string `yaml:"test"`
	Interval    string   `yaml:"interval"`
	Timeout     string   `yaml:"timeout"`
	StartPeriod string   `yaml:"start_period"`
	Retries     int      `yaml:"retries"`
}

type composeVolume struct {
	External bool `yaml:"external"`
}
