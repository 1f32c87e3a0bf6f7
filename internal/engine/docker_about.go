package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/image"
)

// about is what must be known of an engine before something is made in it.
type about struct {
	arch     string // as Go names it
	selinux  bool
	rootless bool
	remapped bool // userns-remap
	baseUID  int  // with userns-remap: the host's id of a container's root
	baseGID  int
}

// goArch names what uname -m says (which is what an engine reports) as Go does.
var goArch = map[string]string{
	"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386",
}

// ask is answered once: none of it changes while an engine runs.
func (d *Docker) ask(ctx context.Context) (about, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.about != nil {
		return *d.about, nil
	}
	info, err := d.api.Info(ctx)
	if err != nil {
		return about{}, err
	}
	// Docker Desktop's engine is in a machine of its own that sees our folders.
	if name, err := os.Hostname(); err == nil && name != info.Name && runtime.GOOS == "linux" && !strings.HasPrefix(info.OperatingSystem, "Docker Desktop") {
		return about{}, elsewhere(fmt.Sprintf("%s (%s)", d.host, info.Name))
	}
	a := about{arch: info.Architecture}
	if known, ok := goArch[a.arch]; ok {
		a.arch = known
	}
	has := func(option string) bool {
		return slices.ContainsFunc(info.SecurityOptions, func(s string) bool {
			return s == "name="+option || strings.HasPrefix(s, "name="+option+",")
		})
	}
	a.selinux, a.rootless, a.remapped = has("selinux"), has("rootless"), has("userns")
	if a.remapped {
		a.baseUID, a.baseGID, err = remapBase(info.DockerRootDir)
	}
	if err != nil {
		return about{}, err
	}
	d.about = &a
	return a, nil
}

// remapBase reads the ids that container root has on the host from the name of
// the engine's folder, which userns-remap makes: /var/lib/docker/231072.231072.
func remapBase(rootDir string) (uid, gid int, err error) {
	u, g, ok := strings.Cut(filepath.Base(rootDir), ".")
	uid, errU := strconv.Atoi(u)
	gid, errG := strconv.Atoi(g)
	if !ok || errU != nil || errG != nil {
		return 0, 0, fault.Fail(orProcess, "the Docker Engine uses userns-remap, and its folder %s does not tell the ids", rootDir)
	}
	return uid, gid, nil
}

// Arch is the engine's architecture as Go names it: amd64, arm64 …
func (d *Docker) Arch(ctx context.Context) (string, error) {
	a, err := d.ask(ctx)
	return a.arch, err
}

// Runs refuses an image that was not made for the engine's architecture.
func (d *Docker) Runs(ctx context.Context, info image.Info) error {
	a, err := d.ask(ctx)
	if err != nil || a.arch == info.Arch {
		return err
	}
	return fault.Usage("name a regctl that was built for linux/"+a.arch+" by --linux-binary FILE, or a registry image by --image REF",
		"the Docker Engine runs linux/%s, and this regctl is for linux/%s", a.arch, info.Arch)
}

// User is whom a registry's container runs as.
type User struct {
	Container string // "UID:GID" inside the container
	UID, GID  int    // the same user as the host sees it: who must own serve/ and data/
}

// ServeUser chooses that user: an unprivileged one of the container's own if we are
// root, mapped where the engine maps ids; else ourselves, so that the folders
// are ours. Under rootless Docker that is root inside the container.
func (d *Docker) ServeUser(ctx context.Context) (User, error) {
	a, err := d.ask(ctx)
	if err != nil {
		return User{}, err
	}
	uid, gid := os.Geteuid(), os.Getegid()
	switch {
	case a.rootless:
		// Root may well use another user's engine.
		if info, err := os.Stat(strings.TrimPrefix(d.host, "unix://")); err == nil {
			uid, gid = fileOwner(info)
		}
		return User{"0:0", uid, gid}, nil
	case uid > 0 && a.remapped:
		return User{}, fault.Fail("run regctl as root; "+orProcess,
			"the Docker Engine uses userns-remap, so no container can run as user %d", uid)
	case uid > 0:
		return User{fmt.Sprintf("%d:%d", uid, gid), uid, gid}, nil
	}
	return User{
		Container: fmt.Sprintf("%d:%d", image.User, image.User),
		UID:       a.baseUID + image.User,
		GID:       a.baseGID + image.User,
	}, nil
}
