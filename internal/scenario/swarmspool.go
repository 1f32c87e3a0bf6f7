package scenario

import (
	"compress/gzip"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/regctl/regctl/internal/statedir"
)

// spool is an archive that is made when it is first asked for, compressed since networks
// are slower than processors, and read by many at once.
type spool struct {
	dir   statedir.Dir
	write func(io.Writer) error

	once sync.Once
	file *os.File
	size int64
	err  error
}

// open returns the archive from its beginning, and its size in bytes.
func (s *spool) open() (io.Reader, int64, error) {
	s.once.Do(func() { s.err = s.fill() })
	return io.NewSectionReader(s.file, 0, s.size), s.size, s.err
}

func (s *spool) fill() error {
	random := make([]byte, 4)
	_, _ = rand.Read(random) // never fails
	// By this name the next command clears it away, should this one be killed.
	path := s.dir.Join(fmt.Sprintf(".regctl-%d-%s.tmp", os.Getpid(), hex.EncodeToString(random)))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	s.file = f
	zip, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err == nil {
		err = errors.Join(s.write(zip), zip.Close())
	}
	if err != nil {
		return err
	}
	s.size, err = f.Seek(0, io.SeekEnd)
	return err
}

func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close() // it was only ever read since
		_ = os.Remove(s.file.Name())
	}
}
