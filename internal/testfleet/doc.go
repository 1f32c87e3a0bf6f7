// Package testfleet makes real client hosts for tests, out of namespaces of this
// machine. A host has its own file system (the machine's /usr and /etc below an
// overlay, everything else empty), processes, name, addresses and OpenSSH server,
// and where wanted a Docker engine, podman or containerd. The hosts and the root
// namespace, where the registry under test runs, share a network that leads nowhere
// else; [RegistryName] is the root namespace's address on it.
//
//	fleet := testfleet.New(t, slices.Concat(
//		testfleet.Hosts(3, testfleet.Docker),
//		testfleet.Hosts(1, testfleet.Sudo, testfleet.NoSFTP),
//	)...)
//	out, err := fleet.Host(0).Exec("docker info")
//
// Nothing outlives the test, not even one that is killed: the hosts end when the
// pipe from the test closes, and a watcher then removes the folder. See docs/testing.md.
package testfleet
