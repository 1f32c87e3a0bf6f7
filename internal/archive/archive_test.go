package archive_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/regctl/regctl/internal/archive"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
)

var passphrase = secret.New("correct horse")

func write(t testing.TB, pass secret.String) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := archive.NewWriter(&out, pass)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		w.Dir("serve", 0o750),
		w.Dir("serve/tls", 0o700),
		w.Link("serve/tls/current", "1"),
		w.File("serve/config.yml", 0o600, 5, strings.NewReader("hello")),
		w.File("regctl.yaml", 0o640, 0, strings.NewReader("")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(archive.About{Name: "registry", Dir: "/var/lib/regctl/registry"}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func read(data []byte, pass secret.String) (archive.Manifest, map[string]string, error) {
	files := map[string]string{}
	m, err := archive.Read(bytes.NewReader(data), pass, func(e archive.Entry, r io.Reader) error {
		content, err := io.ReadAll(r)
		files[e.Path] = string(content)
		return err
	})
	return m, files, err
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	for name, pass := range map[string]secret.String{"plain": {}, "encrypted": passphrase} {
		t.Run(name, func(t *testing.T) {
			data := write(t, pass)
			m, files, err := read(data, pass)
			if err != nil {
				t.Fatal(err)
			}
			if m.Name != "registry" || len(m.Entries) != 5 || files["serve/config.yml"] != "hello" {
				t.Errorf("read %+v %v", m, files)
			}
			want := archive.Entry{
				Path: "serve/config.yml", Kind: archive.File, Mode: 0o600, Size: 5,
				SHA256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
			}
			if m.Entries[3] != want {
				t.Errorf("%+v, want %+v", m.Entries[3], want)
			}
			if bytes.Contains(data, []byte("config.yml")) && pass != (secret.String{}) {
				t.Error("names can be read without the passphrase")
			}
		})
	}
}

// Every bit counts: none may be flipped, and no byte may be missing or added.
func TestDamageIsRefused(t *testing.T) {
	data := write(t, secret.String{})
	refused := func(what string, changed []byte) {
		t.Helper()
		if _, _, err := read(changed, secret.String{}); !fault.IsUsage(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range data {
		for bit := range 8 {
			changed := bytes.Clone(data)
			changed[i] ^= 1 << bit
			refused("flipped bit", changed)
		}
		refused("cut off", data[:i])
	}
	refused("more", append(bytes.Clone(data), 0))
	refused("twice", append(bytes.Clone(data), data...))
}

func TestEncryptedDamageIsRefused(t *testing.T) {
	data := write(t, passphrase)
	// Not in the work factor, which may ask for hours. It costs a second to get past
	// the header.
	start := bytes.LastIndex(data, []byte("\n---")) + 1
	for _, i := range []int{start + 10, len(data) / 2, len(data) - 1} {
		changed := bytes.Clone(data)
		changed[i] ^= 1
		if _, _, err := read(changed, passphrase); !fault.IsUsage(err) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	for name, changed := range map[string][]byte{"half": data[:len(data)/2], "more": append(bytes.Clone(data), 1)} {
		if _, _, err := read(changed, passphrase); !fault.IsUsage(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPassphrase(t *testing.T) {
	data, plain := write(t, passphrase), write(t, secret.String{})
	for _, c := range []struct {
		what, want string
		data       []byte
		pass       secret.String
	}{
		{"wrong", "the passphrase does not open", data, secret.New("wrong horse")},
		{"none", "is encrypted", data, secret.String{}},
		{"not needed", "is not encrypted", plain, passphrase},
	} {
		_, files, err := read(c.data, c.pass)
		if !fault.IsUsage(err) || !strings.Contains(err.Error(), c.want) || len(files) > 0 {
			t.Errorf("%s: %v %v", c.what, files, err)
		}
	}
}

// forge makes a sound archive of entries that Writer would refuse.
func forge(t testing.TB, entries ...archive.Entry) []byte {
	t.Helper()
	var raw, out bytes.Buffer
	tw := tar.NewWriter(&raw)
	add := func(h tar.Header, content []byte) {
		h.Format = tar.FormatPAX
		if err := tw.WriteHeader(&h); err != nil {
			t.Skip(err)
		}
		_, _ = tw.Write(content)
	}
	types := map[archive.Kind]byte{archive.File: tar.TypeReg, archive.Dir: tar.TypeDir, archive.Link: tar.TypeSymlink, "hard": tar.TypeLink, "fifo": tar.TypeFifo}
	for i, e := range entries {
		if e.Kind == archive.File {
			sum := sha256.Sum256(nil)
			entries[i].SHA256 = hex.EncodeToString(sum[:])
		}
		add(tar.Header{Name: e.Path, Typeflag: types[e.Kind], Linkname: e.Target, Mode: int64(e.Mode)}, nil)
	}
	manifest, err := json.Marshal(archive.Manifest{SchemaVersion: 1, Entries: entries})
	if err != nil {
		t.Fatal(err)
	}
	add(tar.Header{Name: archive.ManifestName, Typeflag: tar.TypeReg, Size: int64(len(manifest)), Mode: 0o600}, manifest)
	_ = tw.Close()
	z, _ := zstd.NewWriter(&out)
	_, _ = z.Write(raw.Bytes())
	_ = z.Close()
	sum := sha256.Sum256(out.Bytes())
	return append(append(out.Bytes(), 0x5d, 0x2a, 0x4d, 0x18, 32, 0, 0, 0), sum[:]...)
}

func TestNothingLeadsOut(t *testing.T) {
	dir := archive.Entry{Path: "a", Kind: archive.Dir, Mode: 0o700}
	file := func(path string) archive.Entry { return archive.Entry{Path: path, Kind: archive.File, Mode: 0o600} }
	link := func(path, target string) archive.Entry {
		return archive.Entry{Path: path, Kind: archive.Link, Target: target}
	}
	for what, list := range map[string][]archive.Entry{
		"sound":      {dir, file("a/b"), link("a/c", "b"), link("d", "a/b"), link("a/e", "../d")},
		"absolute":   {file("/etc/passwd")},
		"up":         {file("../x")},
		"up inside":  {dir, file("a/../../x")},
		"not clean":  {dir, file("a//b")},
		"no folder":  {file("b/c")},
		"in a file":  {file("b"), file("b/c")},
		"in a link":  {dir, link("b", "a"), file("b/c")},
		"twice":      {file("b"), file("b")},
		"backslash":  {file(`a\b`)},
		"the root":   {{Path: ".", Kind: archive.Dir}},
		"hard link":  {file("b"), {Path: "c", Kind: "hard", Target: "b"}},
		"a fifo":     {{Path: "c", Kind: "fifo"}},
		"link out":   {link("b", "../x")},
		"link away":  {link("b", "/etc/passwd")},
		"link bent":  {dir, link("a/b", ".."), link("c", "a/b/../x")},
		"link empty": {link("b", "")},
	} {
		_, _, err := read(forge(t, list...), secret.String{})
		if (err == nil) != (what == "sound") || err != nil && !fault.IsUsage(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(write(f, secret.String{}))
	f.Add([]byte("age-encryption.org/v1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, _, err := read(data, secret.String{}); err != nil && !fault.IsUsage(err) {
			t.Errorf("%v", err)
		}
	})
}

// FuzzEntries gives sound archives any names: what is accepted stays inside.
func FuzzEntries(f *testing.F) {
	f.Add("a", "b", "a", "../a")
	f.Add("../a", "b", "/", "x/../..")
	f.Fuzz(func(t *testing.T, dir, file, link, target string) {
		data := forge(
			t,
			archive.Entry{Path: dir, Kind: archive.Dir},
			archive.Entry{Path: dir + "/" + file, Kind: archive.File},
			archive.Entry{Path: link, Kind: archive.Link, Target: target},
		)
		m, _, err := read(data, secret.String{})
		if err != nil {
			return
		}
		for _, e := range m.Entries {
			if !filepath.IsLocal(e.Path) || e.Kind == archive.Link && !filepath.IsLocal(filepath.Join(filepath.Dir(e.Path), e.Target)) {
				t.Errorf("%+v", e)
			}
			if parts := strings.Split(e.Target, "/"); slices.Contains(parts[min(len(parts), strings.Count(e.Path, "/")+1):], "..") {
				t.Errorf("%+v goes up behind a name", e)
			}
		}
	})
}
