package scenario

import (
	"context"
	"fmt"
	"os"

	"github.com/regctl/regctl/internal/host"
)

// kindTree is a folder with all that is in it: images and logs, which the
// registry writes and no receipt knows. It can only be removed.
const kindTree host.Kind = "tree"

// trees is the host.Handler of kindTree.
type trees struct{}

// Look reports a folder; what is not one, or is a link to one, is not ours.
func (trees) Look(_ context.Context, path string) (host.Fact, error) {
	info, err := os.Lstat(path)
	if os.IsNotExist(err) {
		return host.Fact{}, nil
	}
	if err != nil {
		return host.Fact{}, err
	}
	fact := host.Fact{Exists: true, Mode: info.Mode().Perm()}
	if !info.IsDir() {
		fact.Foreign = "not a folder"
	}
	return fact, nil
}

// Do removes the folder. An interrupted removal is finished by the next.
func (trees) Do(_ context.Context, op host.Op) (host.Fact, error) {
	if op.Action != host.Remove {
		return host.Fact{}, fmt.Errorf("%s: a tree can only be removed", op.Path)
	}
	return host.Fact{}, os.RemoveAll(op.Path)
}
