package verify

import (
	"regexp"
	"strings"

	"github.com/regctl/regctl/internal/secret"
)

// cause is what a tool's words come down to.
type cause struct {
	words []string // any of them, in lower case
	says  string   // "" leaves the tool's own words
	hint  string   // {host}, {address} and {scheme} are the registry's
}

// causes are looked through in order. Docker, podman and containerd are written in
// Go and say what its libraries say; curl, wget and openssl have words of their own.
var causes = []cause{
	{
		[]string{"cannot connect to the docker daemon", ".sock: connect:", "failed to dial \"/", "permission denied while trying to connect"},
		"the runtime there does not answer",
		"start it there, and run the same command again",
	},
	{[]string{"administratively prohibited"}, "the sshd there opens no connections for regctl", "install curl there, or set AllowTcpForwarding in its sshd_config"},
	{[]string{"no space left on device"}, "no space left on device", "make room there, and run the same command again"},
	{
		[]string{"certificate has expired", "not yet valid", "not yet activated"},
		"x509: the certificate has expired or is not yet valid, by the clock of that host",
		"set its clock, or look at the certificate with `regctl cert show`",
	},
	{
		[]string{"certificate is valid for", "certificate is not valid for any names", "doesn't contain any ip sans", "cannot validate certificate for", "no alternative certificate subject name", "hostname mismatch", "ip address mismatch", "host name does not match", "the certificate's owner does not match"},
		"x509: the certificate is not for the name {host}", "give the registry a certificate for it, or have clients use a name that `regctl cert show` lists",
	},
	{
		[]string{"signed by unknown authority", "unable to get local issuer certificate", "unable to get issuer certificate", "self-signed certificate", "self signed certificate", "unable to verify the first certificate", "doesn't have a known issuer", "certificate verify failed", "issued by an unknown authority", "unknown issuer"},
		"x509: certificate signed by unknown authority", "see which CA vouches for what answers there: `regctl cert show` prints the registry's own",
	},
	{
		[]string{"server gave http response to https client", "wrong version number", "first record does not look like a tls handshake", "unexpected tls packet"},
		"it was spoken to in TLS and answered in plain HTTP", "for a registry of plain HTTP the client must have it as insecure; else see what answers at {address}",
	},
	{
		[]string{"sent an http request to an https server", "http request to an https server", "malformed http response", "received http/0.9"},
		"it was spoken to in plain HTTP and answered in TLS", "see what answers at {address}: `regctl status` says what the registry speaks",
	},
	{
		[]string{"no such host", "could not resolve host", "name resolution", "unable to resolve host", "name or service not known", "server misbehaving", "lookup {host}"},
		"{host} is no name that is known there", "enter the name in the DNS, or place it on the clients with --map-host IP",
	},
	{[]string{"connection refused", "connect failed", "couldn't connect to server"}, "connection refused", "see that the registry runs (`regctl status`) and that the name {host} leads to it; --map-host IP places another address"},
	{
		[]string{"no route to host", "network is unreachable", "i/o timeout", "timed out", "timeout", "deadline exceeded"},
		"no answer from {address} in time",
		"open the registry's port in the firewalls between, and see that the name {host} leads to it; --map-host IP places another address",
	},
	{
		[]string{"unauthorized", "no basic auth credentials", "authentication required", "access denied", "incorrect username or password", "denied:"},
		"the registry does not let it in",
		"pull as a user who may, with --verify-user USER",
	},
	{[]string{"another image came"}, "another image came than the registry's own", "something between answers in the registry's place: see what answers at {address}"},
	{[]string{"manifest unknown", "not found", "status 404", "error 404"}, "what answers there does not have the registry's image", "see that it is the registry (`regctl status`) and that the name {host} leads to it"},
}

// explain says in one line why a tool failed, and what mends it.
func (v verifier) explain(text string) (says, hint string) {
	r := v.target.Registry
	fill := strings.NewReplacer("{host}", r.Host, "{address}", r.Address())
	lower := strings.ToLower(text)
	for _, c := range causes {
		for _, w := range c.words {
			if strings.Contains(lower, strings.ToLower(fill.Replace(w))) {
				return fill.Replace(c.says), fill.Replace(c.hint)
			}
		}
	}
	return v.masked(brief(text)), "run what failed on that host to see more, or leave it unproven with --verify none"
}

const longest = 300

// brief leaves the end, where tools say what went wrong, without what terminals are
// told.
func brief(text string) string {
	text = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`).ReplaceAllString(text, "")
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > longest {
		text = "…" + strings.ToValidUTF8(text[len(text)-longest:], "")
	}
	if text == "" {
		return "it failed without a word"
	}
	return text
}

// masked takes the credential out of what a tool printed.
func (v verifier) masked(text string) string {
	for _, c := range v.credentials() {
		for _, s := range []string{c.password.Reveal(), c.basic()} {
			text = strings.ReplaceAll(text, s, secret.Mask)
		}
	}
	return text
}

func (v verifier) credentials() []credential {
	var all []credential
	if v.target.User != "" {
		all = append(all, credential{user: v.target.User, password: v.target.Password})
	}
	if c := v.target.Canary; c != nil && !c.Password.Empty() {
		all = append(all, credential{user: c.User, password: c.Password})
	}
	return all
}
