package trust

import (
	"strconv"

	"github.com/regctl/regctl/internal/fault"
)

// rootless places the CA for a dockerd that runs as the user who logged in: it
// reads ~/.config/docker/certs.d (moby registry.CertsDir under RootlessKit).
func rootless(r Registry, c Client, _ Options) (Placement, error) {
	if err := needCA(r, Rootless); err != nil {
		return Placement{}, err
	}
	home, err := c.userHome(Rootless)
	if err != nil {
		return Placement{}, err
	}
	p := Placement{Store: Rootless, Effect: Now}
	uid, gid := c.LoginUID, c.LoginGID
	base := home + "/.config/docker"
	p.Steps = r.dirs(uid, gid, home+"/.config", base, base+"/certs.d")
	p.certsD(r, base+"/certs.d", uid, gid)
	return p, nil
}

func (c Client) userHome(s Store) (string, error) {
	if c.LoginUID == 0 || c.LoginHome == "" {
		return "", fault.Fail("log in as the user whose Docker it is, with --user", "the store %s belongs to a user, and the login is root's", s)
	}
	return c.LoginHome, nil
}

// hasRootless reports whether the user who logged in runs a dockerd.
func (c Client) hasRootless() bool {
	for _, socket := range c.Sockets {
		if c.LoginUID != 0 && socket == "/run/user/"+strconv.Itoa(c.LoginUID)+"/docker.sock" {
			return true
		}
	}
	return false
}
