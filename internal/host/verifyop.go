package host

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Pull is an image for a machine to pull and to forget again. What the tool keeps of
// it goes, also when the pull fails or is stopped. A pull is given 35 s, and each op
// has the tool's own output for its error, on one line.
type Pull struct {
	Image   string   // HOST:PORT/NAME:TAG
	Digests []string // the machine must have got one of them
	// Patience is for how long a name is waited for that is not known yet, and a
	// registry that refuses connections. It counts in seconds.
	Patience time.Duration
	// Secret is the file with the credential, in the form that the tool reads. It lies
	// for the length of the pull in a folder that nobody else may enter.
	Secret []byte
}

func (p Pull) op(way string, args ...string) Op {
	op := act(Wait, strings.Join(append([]string{"verify-" + way}, args...), " "))
	op.Want.Data = fmt.Appendf(nil, "%s\n%s\n%d\n%s", p.Image, strings.Join(p.Digests, " "), p.Patience/time.Second, p.Secret)
	return op
}

// ByDocker pulls with the docker CLI; Secret is Docker's config.json.
func (p Pull) ByDocker(socket string) Op { return p.op("docker", socket) }

// ByDockerAPI pulls with curl on dockerd's socket; Secret is a file for curl -K.
func (p Pull) ByDockerAPI(socket string) Op { return p.op("dockerapi", socket) }

// ByPodman pulls into a store of its own. Secret is an auth file.
func (p Pull) ByPodman() Op { return p.op("podman") }

// ByBuildah is like ByPodman.
func (p Pull) ByBuildah() Op { return p.op("buildah") }

// BySkopeo copies the image into a folder. Secret is an auth file.
func (p Pull) BySkopeo() Op { return p.op("skopeo") }

// Containerd says how a containerd is spoken to.
type Containerd struct {
	Via    string // "k3s" or "rke2" for the client that comes with it; "" for one on PATH
	Socket string
}

func (c Containerd) words() string {
	if c.Via == "" {
		return "- " + c.Socket
	}
	return c.Via + " " + c.Socket
}

// ByCrictl has the CRI pull, into the images of the node. crictl takes a credential
// by its arguments alone: Secret is not used.
func (p Pull) ByCrictl(c Containerd) Op { return p.op("crictl", c.words()) }

// ByNerdctl pulls into a namespace of its own; Secret is Docker's config.json.
func (p Pull) ByNerdctl() Op { return p.op("nerdctl") }

// ByCtr fetches into a namespace of its own. hosts is the folder of hosts.toml files
// and url the registry's endpoint; Secret is lines for the table header of that host.
func (p Pull) ByCtr(c Containerd, url, hosts string) Op { return p.op("ctr", c.words(), url, hosts) }

// ByBuildctl builds nothing but the image of the first digest, and drops the result;
// Secret is Docker's config.json.
func (p Pull) ByBuildctl(socket string) Op {
	return p.op("buildctl", socket, base64.StdEncoding.EncodeToString(llb(p.Image+"@"+p.Digests[0])))
}

// llb is what BuildKit is to solve (solver/pb/ops.proto): the image as a source, and
// the end, whose input is that source.
func llb(image string) []byte {
	field := func(number int, value []byte) []byte { // of the kind that has a length
		return append(binary.AppendUvarint([]byte{byte(number<<3 | 2)}, uint64(len(value))), value...)
	}
	source := field(3, field(1, []byte("docker-image://"+image)))
	input := field(1, fmt.Appendf(nil, "sha256:%x", sha256.Sum256(source)))
	end := field(1, input)
	return slices.Concat(field(1, source), field(1, end))
}

// Get is a registry's endpoint for a machine to ask for /v2/, which passes when the
// answer is 200 or 401.
type Get struct {
	URL      string // with /v2/
	Host     string // a name or an address, as the certificate has it
	Connect  string // HOST:PORT
	CA       []byte // PEM; nil leaves it to the machine whom it trusts
	Patience time.Duration
}

func (g Get) op(way string, args ...string) Op {
	return Pull{Image: g.URL, Patience: g.Patience, Secret: g.CA}.op(way, args...)
}

// ByCurl asks with curl.
func (g Get) ByCurl() Op { return g.op("curl") }

// ByWget asks with GNU wget. Another wget fails with the words "not GNU wget": some
// do not look at certificates.
func (g Get) ByWget() Op { return g.op("wget") }

// ByOpenSSL asks over TLS with openssl s_client.
func (g Get) ByOpenSSL() Op {
	kind := "hostname"
	if _, err := netip.ParseAddr(g.Host); err == nil {
		kind = "ip"
	}
	return g.op("openssl", g.Connect, kind, g.Host)
}
