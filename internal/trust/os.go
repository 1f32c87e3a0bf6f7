package trust

import (
	"encoding/pem"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// operatingSystem places the CA among the anchors of the OS and has its own tool
// make the bundle anew: update-ca-certificates(8), update-ca-trust(8), trust(1). A
// running dockerd has read the bundle and does not read it again.
func operatingSystem(r Registry, c Client, _ Options) (Placement, error) {
	if err := needCA(r, OS); err != nil {
		return Placement{}, err
	}
	if !c.root() {
		return Placement{}, fault.Fail("log in as root or as a user with sudo", "the certificates of the OS are root's")
	}
	dir, update, err := c.anchors()
	if err != nil {
		return Placement{}, err
	}
	p := Placement{Store: OS, Effect: Now, Steps: r.dirs(0, 0, dir)}
	var refs []host.Ref
	// One certificate a file, as update-ca-certificates wants it.
	for i, cert := range certificates(r.CA) {
		file := dir + "/" + r.anchor(i)
		if p.Path == "" {
			p.Path = file
		}
		step := place{path: file, data: cert, id: r.Address(), store: OS}
		p.Steps = append(p.Steps, step)
		refs = append(refs, step.file(), step.edit())
	}
	p.Steps = append(p.Steps, after{name: update.Path, refs: refs, ops: []host.Op{update}})
	if c.DockerdPID > 0 {
		p.Pending = "restart dockerd"
	}
	return p, nil
}

// anchor names the file of one of the registry's CAs, counted from 0.
func (r Registry) anchor(i int) string {
	if i == 0 {
		return r.fileName() + ".crt"
	}
	return fmt.Sprintf("%s-%d.crt", r.fileName(), i+1)
}

// Surplus reports whether a file among the anchors of the OS is one of a CA more than
// the registry has now.
func (r Registry) Surplus(file string) bool {
	rest, ok := strings.CutPrefix(path.Base(file), r.fileName()+"-")
	number, crt := strings.CutSuffix(rest, ".crt")
	n, err := strconv.Atoi(number)
	return ok && crt && err == nil && n > len(certificates(r.CA))
}

// anchors is where the OS looks for CAs, and the action that has it look.
func (c Client) anchors() (dir string, update host.Op, err error) {
	switch {
	case c.is("rhel", "fedora", "centos"):
		return "/etc/pki/ca-trust/source/anchors", host.UpdateCATrust(), nil
	case c.is("suse", "opensuse", "sles"):
		return "/etc/pki/trust/anchors", host.UpdateCACertificates(), nil
	case c.is("arch", "archlinux"):
		return "/etc/ca-certificates/trust-source/anchors", host.TrustExtractCompat(), nil
	case c.is("debian", "ubuntu", "alpine"):
		if !c.has("update-ca-certificates") {
			return "", host.Op{}, fault.Fail("install the package ca-certificates there", "there is no update-ca-certificates")
		}
		return "/usr/local/share/ca-certificates", host.UpdateCACertificates(), nil
	}
	return "", host.Op{}, fault.Fail("use another --store, such as docker", "where %s keeps its certificates is not known", orDash(c.OS))
}

func certificates(bundle []byte) [][]byte {
	var all [][]byte
	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			return all
		}
		if block.Type == "CERTIFICATE" {
			all = append(all, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
		}
	}
}
