package host

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what known_hosts hashes names with
	"encoding/base64"
	"errors"
	"hash"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// knownIndex finds the keys of a host in known_hosts files. It holds files of usual lines
// alone, which name hosts outright or one by its hash: the library walks over all lines
// twice for every host, and with names hashed, as Debian has them, that took more than
// the login itself from a few hundred lines on. Files with patterns, markers or lines
// that do not parse stay the library's.
type knownIndex struct {
	named  map[hostPort][]xknownhosts.KnownKey
	hashed []hashedLine
	found  map[hostPort][]xknownhosts.KnownKey // those that were asked for
	lines  map[string]int                      // by file
}

type hostPort struct{ host, port string }

type hashedLine struct {
	mac hash.Hash // with the line's salt
	sum []byte
	key xknownhosts.KnownKey
}

// newKnownIndex reads files; ok is false for those that are the library's.
func newKnownIndex(files []string) (x *knownIndex, ok bool) {
	x = &knownIndex{named: map[hostPort][]xknownhosts.KnownKey{}, found: map[hostPort][]xknownhosts.KnownKey{}, lines: map[string]int{}}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return nil, false
		}
		lines := bufio.NewScanner(f)
		ok := true
		for ok && lines.Scan() {
			x.lines[file]++
			ok = x.add(lines.Text(), file, x.lines[file])
		}
		err = lines.Err()
		_ = f.Close() // it was only read
		if err != nil || !ok {
			return nil, false
		}
	}
	return x, true
}

// add takes one line, if it is a usual one.
func (x *knownIndex) add(line, file string, n int) bool {
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(words) == 0 || words[0][0] == '#' {
		return true
	}
	if len(words) < 3 || words[0][0] == '@' || strings.ContainsAny(words[0], "*?!") {
		return false
	}
	blob, err := base64.StdEncoding.DecodeString(words[2])
	if err != nil {
		return false
	}
	key, err := ssh.ParsePublicKey(blob)
	if _, certificate := key.(*ssh.Certificate); err != nil || certificate || key.Type() != words[1] {
		return false
	}
	known := xknownhosts.KnownKey{Key: key, Filename: file, Line: n}
	if words[0][0] == '|' {
		return x.addHashed(words[0], known)
	}
	for name := range strings.SplitSeq(words[0], ",") {
		if name == "" {
			continue
		}
		host, port, err := net.SplitHostPort(name)
		if err != nil {
			if name[0] == '[' {
				return false
			}
			host, port = name, "22"
		}
		at := hostPort{host, port}
		x.named[at] = append(x.named[at], known)
	}
	return true
}

// addHashed takes |1|salt|hash: see HashKnownHosts in ssh_config(5).
func (x *knownIndex) addHashed(name string, known xknownhosts.KnownKey) bool {
	parts := strings.Split(name, "|")
	if len(parts) != 4 || parts[1] != "1" {
		return false
	}
	salt, err1 := base64.StdEncoding.DecodeString(parts[2])
	sum, err2 := base64.StdEncoding.DecodeString(parts[3])
	if err1 != nil || err2 != nil {
		return false
	}
	x.hashed = append(x.hashed, hashedLine{hmac.New(sha1.New, salt), sum, known})
	return true
}

func hostPortOf(e endpoint) (at hostPort, ok bool) {
	host, port, err := net.SplitHostPort(e.keyName())
	return hostPort{host, port}, err == nil
}

// keys are those of a host, by file and line.
func (x *knownIndex) keys(e endpoint) []xknownhosts.KnownKey {
	at, ok := hostPortOf(e)
	if !ok {
		return nil
	}
	if keys, ok := x.found[at]; ok {
		return keys
	}
	keys := slices.Clone(x.named[at])
	name := []byte(xknownhosts.Normalize(e.keyName()))
	var sum []byte
	for _, line := range x.hashed {
		line.mac.Reset()
		line.mac.Write(name)
		if sum = line.mac.Sum(sum[:0]); bytes.Equal(sum, line.sum) {
			keys = append(keys, line.key)
		}
	}
	slices.SortStableFunc(keys, func(a, b xknownhosts.KnownKey) int {
		return cmp.Or(strings.Compare(a.Filename, b.Filename), a.Line-b.Line)
	})
	// A line may name the host twice.
	keys = slices.CompactFunc(keys, func(a, b xknownhosts.KnownKey) bool { return a.Filename == b.Filename && a.Line == b.Line })
	x.found[at] = keys
	return keys
}

// record takes the line about a host that was added to a file.
func (x *knownIndex) record(e endpoint, file, line string) bool {
	x.lines[file]++
	if at, ok := hostPortOf(e); ok {
		delete(x.found, at)
	}
	return x.add(strings.TrimSpace(line), file, x.lines[file])
}

var errNoAuthority = errors.New("it offers a certificate, and known_hosts has no @cert-authority for it")

// check answers as the library does.
func (x *knownIndex) check(e endpoint, key ssh.PublicKey) error {
	if _, certificate := key.(*ssh.Certificate); certificate {
		return errNoAuthority // none is asked for either
	}
	keys := x.keys(e)
	for _, known := range keys {
		if bytes.Equal(known.Key.Marshal(), key.Marshal()) {
			return nil
		}
	}
	return &xknownhosts.KeyError{Want: keys}
}

// algorithms are those that the host's keys can sign with, the best first of each kind.
func (x *knownIndex) algorithms(e endpoint) []string {
	var all []string
	for _, known := range x.keys(e) {
		for _, algorithm := range signsWith(known.Key.Type()) {
			if !slices.Contains(all, algorithm) {
				all = append(all, algorithm)
			}
		}
	}
	return all
}

// signsWith: an RSA key has three algorithms (RFC 8332), any other the one of its type.
func signsWith(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA}
	}
	return []string{keyType}
}
