package verify_test

import (
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/testfleet"
	"github.com/regctl/regctl/internal/trust"
	"github.com/regctl/regctl/internal/verify"
)

// expect checks the one outcome of a client; want is part of the error, "" for none.
func (c *client) expect(t *testing.T, target verify.Target, by, want string) verify.Outcome {
	t.Helper()
	before := c.state()
	got := c.verify(t, target)
	c.same(t, before)
	if len(got) != 1 || got[0].Verified != (want == "") || got[0].By != by {
		t.Fatalf("%+v, want it by %s", got, by)
	}
	if err := got[0].Err; want != "" && (!strings.Contains(err.Error(), want) || fault.Hint(err) == "") {
		t.Errorf("%s: %v, hint %q; want %q", by, err, fault.Hint(err), want)
	}
	return got[0]
}

// ways are the programs that ask for /v2/, in the order in which they are taken.
var ways = []struct{ program, by string }{
	{"curl", "curl"}, {"wget", "wget"}, {"openssl", "openssl s_client"}, {"", "tls from regctl through SSH"},
}

const unknown = "certificate signed by unknown authority"

// A host has a CA for a Docker that is to come, and programs that become fewer.
func TestAsksWithTheCAWhereNothingPulls(t *testing.T) {
	t.Parallel()
	fleet := testfleet.New(t, testfleet.Hosts(1)...)
	c := login(t, fleet, fleet.Host(0))
	r, other, plain := serve(t, fleet, kind{guarded: true}), serve(t, fleet, kind{}), serve(t, fleet, kind{plain: true})
	byAddress, stranger := r, r
	byAddress.Host = fleet.Gateway()
	stranger.CA = other.CA
	dead := r
	dead.Port = 1
	nameless := r
	nameless.Host = "nosuch.test"
	ref := r.canary(t, true)
	c.trusts(t, r.Registry, trust.Options{}, trust.Docker)
	for _, w := range ways {
		target := verify.Target{Registry: r.Registry, Mode: verify.Auto, Canary: ref}
		o := c.expect(t, target, w.by, "")
		if !strings.Contains(o.Note, "no dockerd listens") {
			t.Errorf("%s: note %q", w.by, o.Note)
		}
		target.Canary = nil
		if o := c.expect(t, target, w.by, ""); !strings.Contains(o.Note, "no image for it") {
			t.Errorf("%s: note %q", w.by, o.Note)
		}
		target.Mode = verify.TLS
		if o := c.expect(t, target, w.by, ""); o.Note != "" {
			t.Errorf("%s: note %q", w.by, o.Note)
		}
		for _, wrong := range []struct {
			registry
			want string
		}{{stranger, unknown}, {byAddress, "not for the name"}, {dead, "connection refused"}, {nameless, "no name that is known there"}} {
			target.Registry = wrong.Registry
			c.expect(t, target, w.by, wrong.want)
		}
		if target.Registry = plain.Registry; w.program != "openssl" {
			c.expect(t, target, w.by, "")
		}
		target.Registry.Plain = false
		c.expect(t, target, w.by, "answered in plain HTTP")
		c.without(w.program)
	}
	target := verify.Target{Registry: r.Registry, Mode: verify.Pull, Canary: ref}
	c.expect(t, target, "", "cannot be verified by a pull: no dockerd listens at /var/run/docker.sock")
	target.Mode = verify.None
	if got := c.verify(t, target); got != nil {
		t.Errorf("%+v", got)
	}

	// sshd may forbid what regctl does then.
	c.Run("echo AllowTcpForwarding no >>/etc/ssh/sshd_config")
	c.KillSSHD()
	c.StartSSHD()
	c = login(t, fleet, fleet.Host(0))
	c.trusts(t, r.Registry, trust.Options{}, trust.Docker)
	target.Mode = verify.TLS
	c.expect(t, target, ways[3].by, "sshd")
}

// With --store os the programs are told of no CA.
func TestAsksTheSystem(t *testing.T) {
	t.Parallel()
	fleet := testfleet.New(t, testfleet.Hosts(1, testfleet.File("/root/.curlrc", "insecure\n"), testfleet.File("/root/.wgetrc", "check_certificate = off\n"))...)
	c := login(t, fleet, fleet.Host(0))
	r, other := serve(t, fleet, kind{guarded: true}), serve(t, fleet, kind{})
	c.trusts(t, r.Registry, trust.Options{}, trust.OS)
	for _, w := range ways[:3] {
		for _, mode := range []verify.Mode{verify.Auto, verify.Pull, verify.TLS} {
			c.expect(t, verify.Target{Registry: r.Registry, Mode: mode}, w.by, "")
		}
		c.expect(t, verify.Target{Registry: other.Registry, Mode: verify.Auto}, w.by, unknown)
		c.without(w.program)
		if w.program == "wget" {
			// One that may not look at certificates is passed over.
			c.Run("printf '#!/bin/sh\nexit 0\n' >/usr/bin/wget && chmod 755 /usr/bin/wget")
		}
	}
	c.expect(t, verify.Target{Registry: r.Registry, Mode: verify.Auto}, "", "neither curl, wget nor openssl")
}
