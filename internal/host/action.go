package host

// Act is something that a machine does when told: one of the ops below, each a
// constant function of the script, with data for arguments. With OnlyIf it happens
// only after a change. A look at one finds nothing. A restart that fails has its
// receipt all the same, so that an undo does it again with everything as it was.
const Act Kind = "action"

func act(action Action, path string) Op {
	return Op{Ref: Ref{Kind: Act, Path: path}, Action: action, Before: AnyBefore}
}

// ReloadDockerd sends dockerd the SIGHUP on which it reads daemon.json again. One
// that does not run is let be.
func ReloadDockerd() Op { return act(Restart, "reload-dockerd") }

// RestartService restarts a service by its name under systemd, OpenRC or SysV init.
func RestartService(name string) Op { return act(Restart, "restart-service "+name) }

// ValidateDockerd asks dockerd whether it would start with that configuration file
// and the flags it runs with; path may be empty for the usual one. A dockerd before
// 23.0 cannot tell, and passes.
func ValidateDockerd(path string) Op {
	if path != "" {
		path = " " + path
	}
	return act(Wait, "validate-dockerd"+path)
}

// UpdateCACertificates makes the bundle anew: Debian, SUSE, Alpine.
func UpdateCACertificates() Op { return act(Restart, "update-ca-certificates") }

// UpdateCATrust makes the bundle anew: Red Hat.
func UpdateCATrust() Op { return act(Restart, "update-ca-trust") }

// TrustExtractCompat makes the bundle anew: Arch.
func TrustExtractCompat() Op { return act(Restart, "trust-extract-compat") }

// DockerInfoShows waits up to 20 s until the JSON of docker info holds text.
func DockerInfoShows(text string) Op { return act(Wait, "docker-info-shows "+text) }

// DockerInfoLacks waits up to 20 s until the JSON of docker info is without text.
func DockerInfoLacks(text string) Op { return act(Wait, "docker-info-lacks "+text) }
