package scenario

import (
	"bytes"
	"cmp"
	"context"
	"encoding/pem"
	"io/fs"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/acme"
	"github.com/regctl/regctl/internal/acme/dnsprovider"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// directoryOf is the ACME directory that a certificate is ordered from.
func directoryOf(t spec.TLS) string {
	if t.Staging {
		return acme.LetsEncryptStaging
	}
	return cmp.Or(t.ACMEServer, acme.LetsEncrypt)
}

// orderedFrom tells apart what asks for another certificate although the names stay.
func orderedFrom(t spec.TLS) string {
	return strings.Join([]string{directoryOf(t), t.Profile, t.PreferredChain, ""}, "\n")
}

// acmeFile is a file of the operator's, kept beside ours for renewals that nobody
// watches.
type acmeFile struct {
	flag, source string
	copy         host.Ref
	mode         fs.FileMode
}

func (o ordered) files() []acmeFile {
	t, d := o.spec.TLS, o.place.Dir
	var given []acmeFile
	for _, f := range []acmeFile{
		{"--acme-ca", t.ACMECA, fileRef(d.Join("secrets", "acme-ca.pem")), 0o600},
		{"--dns-credentials-file", t.DNSCredentialsFile, fileRef(d.Join("secrets", "dns-credentials")), 0o600},
		{"--eab-hmac-file", t.EABHMACFile, fileRef(d.Join("secrets", "eab-hmac")), 0o600},
		{"--ca-cert", t.CACert, o.placedCA(), 0o644},
	} {
		if f.source != "" {
			given = append(given, f)
		}
	}
	return given
}

// planFiles reads the operator's files, by their flags, and plans our copies of them.
func (o ordered) planFiles(seen host.Facts, change *step.Change) (map[string][]byte, error) {
	read := map[string][]byte{}
	for _, f := range o.files() {
		was, now := seen[f.copy], seen[sourceRef(f.source)]
		if o.renewal || !now.Exists && was.Exists {
			now = was
		}
		if err := brought(f.flag, f.source, now); err != nil {
			return nil, err
		}
		if f.flag == "--ca-cert" {
			if _, err := pki.Inspect(now.Data); err != nil {
				return nil, fault.Usage("--ca-cert wants a CA certificate in PEM", "%s: %w", f.source, err)
			}
		}
		read[f.flag] = now.Data
		if !bytes.Equal(now.Data, was.Data) {
			change.Items = append(change.Items, step.Item{Target: f.copy.Path, Action: action(was), Diff: "(from " + f.source + ")"})
			change.Ops = append(change.Ops, writeOp(f.copy, seen, ours(f.mode, now.Data)))
		}
	}
	return read, nil
}

// options say what to order. Their faults are the operator's.
func (o ordered) options(seen host.Facts, files map[string][]byte, names []string) (acme.Options, error) {
	t := o.spec.TLS
	crt, _ := currentFacts(o.place, seen)
	options := acme.Options{
		Directory: directoryOf(t), CA: files["--acme-ca"], Accounts: secret.New(string(seen[o.account()].Data)),
		Email: t.Email, AcceptTOS: t.AcceptTOS, Names: names, KeyType: t.KeyType, Profile: t.Profile, PreferredChain: t.PreferredChain,
		EAB:       acme.EAB{KID: t.EABKID, HMAC: secret.New(strings.TrimSpace(string(files["--eab-hmac-file"])))},
		Challenge: acme.Challenge{Kind: cmp.Or(t.Challenge, acme.HTTP01), Addr: t.ChallengeAddr},
		Say:       func(string) {},
	}
	if o.place.Say != nil {
		options.Say = o.place.Say
	}
	if string(seen[o.from()].Data) == orderedFrom(t) && len(crt.Data) > 0 {
		options.Replaces = crt.Data
	}
	var err error
	switch options.Challenge.Kind {
	case acme.TLSALPN01:
		err = acme.Serving{Port: o.spec.Port, Forwarded: t.ChallengeForwarded, Stock: o.spec.Image != ""}.CheckTLSALPN()
		if options.Challenge.Addr == "" {
			options.Challenge.Addr = net.JoinHostPort(o.spec.Bind, strconv.Itoa(o.spec.Port))
		}
	case acme.DNS01:
		options.Challenge.DNS.Provider = t.DNSProvider
		if t.DNSResolver != "" {
			options.Challenge.DNS.Resolvers = []string{t.DNSResolver}
		}
		options.Challenge.DNS.Credentials, err = dnsprovider.Parse(t.DNSCredentialsFile, files["--dns-credentials-file"])
	}
	return options, firstError(err, acme.Check(options))
}

// answering has the registry answer tls-alpn-01 itself where it runs: the port is its. So
// does its proxy with http-01.
func (o ordered) answering(ctx context.Context, c acme.Challenge) acme.Challenge {
	if c.Kind == acme.HTTP01 && o.inSite(ctx) {
		c.Webroot = acmeWebroot(o.spec)
	}
	if c.Kind != acme.TLSALPN01 {
		return c
	}
	if _, err := ownEndpoint(o.spec).Chain(ctx); err == nil {
		c.Control = &acme.Control{Folder: o.place.Dir.ACMEControl(), UID: o.place.UID, GID: o.place.GID}
	}
	return c
}

func (o ordered) liveRefs() []host.Ref {
	live := liveDir(o.spec, o.place)
	return []host.Ref{fileRef(filepath.Join(live, "cert.pem")), fileRef(filepath.Join(live, "chain.pem"))}
}

// live keeps the leaf and what signed it apart too, as certbot does. What both are in
// one, and the key, are links to the pair in use.
func (o ordered) live(seen host.Facts, fullchain []byte) []host.Op {
	block, chain := pem.Decode(fullchain)
	if block == nil {
		return nil
	}
	folder := host.Fact{Exists: true, Mode: 0o700, UID: ourUID(), GID: ourGID()}
	ops := []host.Op{
		createOp(host.Dir, filepath.Dir(liveDir(o.spec, o.place)), folder),
		createOp(host.Dir, liveDir(o.spec, o.place), folder),
	}
	changed := false
	for i, data := range [][]byte{pem.EncodeToMemory(block), bytes.TrimLeft(chain, "\n")} {
		ref := o.liveRefs()[i]
		if !bytes.Equal(seen[ref].Data, data) {
			changed = true
			ops = append(ops, writeOp(ref, seen, ours(0o644, data)))
		}
	}
	if !changed {
		return nil
	}
	return ops
}
