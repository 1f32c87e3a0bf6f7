package host

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Lines stay under 1 KiB, which every shell's read takes.
const lineLength = 900

// request is what goes to the script: see script/main.sh.
type request struct {
	bytes.Buffer
	more bool // it needs script.More
}

// value sends a text as one line if a shell's read returns it unharmed, else in base64.
func (r *request) value(text string) {
	plain := len(text) < lineLength && !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' })
	if plain {
		r.WriteString("=" + text + "\n")
		return
	}
	r.block([]byte(text))
}

// block sends bytes as a count of lines and the lines, in base64.
func (r *request) block(data []byte) {
	lines := slices.Collect(slices.Chunk([]byte(base64.StdEncoding.EncodeToString(data)), lineLength))
	fmt.Fprintln(r, len(lines))
	for _, line := range lines {
		r.Write(append(line, '\n'))
	}
}

// ledger asks for what is noted of files and directories.
func (r *request) ledger() { r.WriteString("ledger\n") }

// bytes sends an op's bytes as lines of text if a shell's read returns those
// unharmed, else in base64.
func (r *request) bytes(data []byte) {
	text := string(data)
	last := word(strings.HasSuffix(text, "\n"), "=", "-")
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	long := func(line string) bool { return len(line) >= lineLength }
	odd := func(c rune) bool { return (c < ' ' || c > '~') && c != '\t' && c != '\n' }
	if len(data) == 0 || slices.ContainsFunc(lines, long) || strings.ContainsFunc(text, odd) {
		r.block(data)
		return
	}
	fmt.Fprintf(r, "%s%d\n%s\n", last, len(lines), strings.Join(lines, "\n"))
}

func word(yes bool, is, isNot string) string {
	if yes {
		return is
	}
	return isNot
}

func (r *request) look(ref Ref) {
	r.more = r.more || ref.Kind == Credential || ref == MachineRef() || ref == DockerInfoRef()
	fmt.Fprintf(r, "look %s\n", ref.Kind)
	r.value(ref.Path)
}

// op sends one op; known is the hash of the thing as we have it, onlyIf and same are
// the numbers of ops before it, and follows the actions that its change calls for.
func (r *request) op(i int, op Op, known string, onlyIf, same []int, follows []string) {
	r.more = r.more || op.Action == Remove || op.Kind != File && op.Kind != Dir
	sum := sha256.Sum256(op.Want.Data)
	want := op.Want.Hash()
	if op.Kind == Credential {
		want = bare(op.Want).Hash() // it goes into the ledger
	}
	exists := 0
	if op.Want.Exists {
		exists = 1
	}
	fmt.Fprintf(r, "do\n%d %s %s %o %d %d %d %s %s %s %s %04o\n", i, op.Kind, op.Action,
		op.Want.Mode.Perm(), op.Want.UID, op.Want.GID, exists, hex.EncodeToString(sum[:]),
		orDash(want), orDash(op.Before), orDash(known), fs.ModePerm&^op.Want.Mode.Perm())
	fmt.Fprintf(r, "%s\n%s\n", numbers(onlyIf), numbers(same))
	r.value(op.Path)
	r.value(op.Part)
	r.value(strings.Join(follows, ";"))
	r.bytes(op.Want.Data)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func numbers(list []int) string { return strings.Trim(fmt.Sprint(list), "[]") }

// answers reads what the script says, past whatever a login shell prints.
type answers struct {
	marker string
	in     *bufio.Reader
	last   []byte // of the file that was told last
}

var errGone = errors.New("the connection ended")

// next returns the next line that is meant for us, without its marker, and the lines
// before it.
func (a *answers) next() (line string, body []byte, err error) {
	for {
		text, err := a.in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return "", nil, errGone
		}
		if err != nil {
			return "", nil, err
		}
		if rest, ok := strings.CutPrefix(text, a.marker+" "); ok {
			return strings.TrimSuffix(rest, "\n"), body, nil
		}
		body = append(body, text...)
	}
}

// fact reads the rest of an answer about a thing of a kind that began with words.
func (a *answers) fact(kind Kind, words string) (Fact, error) {
	fact, err := parseFact(words)
	if err != nil {
		return Fact{}, err
	}
	line, body, err := a.next()
	if err != nil {
		return Fact{}, err
	}
	switch line {
	case "text":
		fact.Data = body
		return fact, nil
	case "again":
		fact.Data = slices.Clone(a.last)
		if line, _, err = a.next(); err != nil {
			return Fact{}, err
		}
	default:
		if fact.Data, err = unBase64(body); err != nil {
			return Fact{}, err
		}
		// The script's own rule, in tell: what is no file is not remembered.
		if fact.Exists && fact.Foreign == "" && (kind == File || kind == Edit || kind == Source) {
			a.last = fact.Data
		}
	}
	if rest, ok := strings.CutPrefix(line, "record "); ok {
		if line, body, err = a.next(); err != nil {
			return Fact{}, err
		}
		fact.Edit = parseRecord(rest, string(body), fact.Hash())
	}
	if line != "." {
		return Fact{}, fmt.Errorf("unexpected answer %q", line)
	}
	return fact, nil
}

// ledger reads the answer to a request for it.
func (a *answers) ledger() ([]Entry, error) {
	line, body, err := a.next()
	if err == nil && line != "ledger" {
		err = fmt.Errorf("unexpected answer %q", line)
	}
	return ParseLedger(Fact{Data: body}), err
}

// unBase64 returns nil for nothing, as reading an absent thing does.
func unBase64(text []byte) ([]byte, error) {
	data, err := base64.StdEncoding.AppendDecode(nil, bytes.ReplaceAll(text, []byte("\n"), nil))
	if err != nil {
		return nil, fmt.Errorf("garbled answer: %w", err)
	}
	return data, nil
}

// parseFact reads "exists mode uid gid foreign".
func parseFact(words string) (Fact, error) {
	f := strings.SplitN(words, " ", 5)
	if len(f) < 4 {
		return Fact{}, fmt.Errorf("unexpected answer %q", words)
	}
	mode, err1 := strconv.ParseUint(f[1], 8, 12)
	uid, err2 := strconv.Atoi(f[2])
	gid, err3 := strconv.Atoi(f[3])
	if err := errors.Join(err1, err2, err3); err != nil {
		return Fact{}, fmt.Errorf("unexpected answer %q: %w", words, err)
	}
	if f[0] != "1" {
		return Fact{}, nil
	}
	fact := Fact{Exists: true, Mode: fs.FileMode(mode).Perm(), UID: uid, GID: gid}
	if len(f) == 5 {
		fact.Foreign = f[4]
	}
	return fact, nil
}

// parseRecord reads "other exists mode uid gid hash" and lines "part name" and "left
// hash" of a file that has a hash now.
func parseRecord(words, body, now string) *Record {
	r := &Record{}
	f := strings.Fields(words)
	if len(f) == 6 {
		r.Original = strings.TrimPrefix(f[5], "-")
	}
	asLeft := now == r.Original
	for line := range strings.Lines(body) {
		switch key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " "); key {
		case "part":
			r.Parts = append(r.Parts, value)
		case "left":
			asLeft = asLeft || orDash(now) == value
		}
	}
	r.Others = !asLeft || len(f) == 6 && f[0] == "1"
	return r
}
