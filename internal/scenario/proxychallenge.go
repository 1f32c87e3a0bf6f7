package scenario

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// kindChallengeFolder is the folder from which a proxy answers ACME's http-01: root's,
// and readable for all. Answers lie in it only while an order is under way.
const kindChallengeFolder host.Kind = "challenge folder"

type challengeDir struct{ path string }

func challengeFolder(s spec.Spec, p Place) []step.Step {
	webroot := acmeWebroot(s)
	if webroot == "" || p.Front == nil {
		return nil
	}
	return []step.Step{challengeDir{webroot}}
}

func (c challengeDir) ref() host.Ref     { return host.Ref{Kind: kindChallengeFolder, Path: c.path} }
func (c challengeDir) Name() string      { return c.path }
func (c challengeDir) Reads() []host.Ref { return []host.Ref{c.ref()} }

func (c challengeDir) Plan(seen host.Facts) (step.Change, error) {
	now := seen[c.ref()]
	want := host.Fact{Exists: true, Mode: 0o755, UID: ourUID(), GID: ourGID()}
	if now.Foreign != "" {
		return step.Change{}, &host.ForeignError{Ref: c.ref(), What: now.Foreign}
	}
	if now.Hash() == want.Hash() {
		return step.Change{}, nil
	}
	return step.Change{
		Items: []step.Item{{Target: c.path, Action: action(now), Diff: "(directory, mode 0755: answers to ACME's challenges)"}},
		Ops:   []host.Op{writeOp(c.ref(), seen, want)},
	}, nil
}

// challengeFolders is the host.Handler of kindChallengeFolder.
type challengeFolders struct{}

// Look implements host.Handler.
func (challengeFolders) Look(ctx context.Context, path string) (host.Fact, error) {
	fact, err := socketFolders{}.Look(ctx, path)
	fact.Data = nil
	return fact, err
}

// Do makes the folder, or removes it with what is in it.
func (h challengeFolders) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	if op.Action == host.Remove {
		err := os.RemoveAll(op.Path)
		_ = os.Remove(filepath.Dir(op.Path)) // unless another registry has its own there
		return host.Fact{}, err
	}
	err := openTop(filepath.Dir(op.Path))
	if err == nil {
		if err = os.Mkdir(op.Path, 0o755); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	if err == nil {
		err = os.Chmod(op.Path, 0o755)
	}
	if err != nil {
		return host.Fact{}, err
	}
	return h.Look(ctx, op.Path)
}
