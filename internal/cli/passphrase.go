package cli

import (
	"bytes"
	"io"
	"os"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
)

// maxPassphrase is in bytes.
const maxPassphrase = 4096

// passphraseFrom reads the passphrase that is the first line of a file.
func passphraseFrom(file string) (secret.String, error) {
	f, err := os.Open(file)
	if err != nil {
		return secret.String{}, fault.Usage("give the path of a file that you may read", "--passphrase-file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPassphrase))
	if err != nil {
		return secret.String{}, err
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return secret.String{}, fault.Usage("write the passphrase into its first line", "--passphrase-file: %s is empty", file)
	}
	return secret.New(string(line)), nil
}
