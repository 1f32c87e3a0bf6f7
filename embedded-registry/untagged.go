package embeddedregistry

import (
	"context"
	"errors"
	"fmt"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// removeUntagged removes from each repository the manifests that neither a tag of it
// nor another manifest that stays leads to. Distribution's own way
// (GCOpts.RemoveUntagged) keeps a manifest that another repository needs, but takes
// the links to its layers away: it would be served, and its layers would not.
func removeUntagged(ctx context.Context, t *tally, registry distribution.Namespace) error {
	all, ok := registry.(distribution.RepositoryEnumerator)
	if !ok {
		return errors.New("this storage does not list its repositories")
	}
	var names []string
	err := all.Enumerate(ctx, func(name string) error {
		names = append(names, name)
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := removeUntaggedOf(ctx, t, registry, name); err != nil {
			return fmt.Errorf("repository %s: %w", name, err)
		}
	}
	return nil
}

func removeUntaggedOf(ctx context.Context, t *tally, registry distribution.Namespace, name string) error {
	named, err := reference.WithName(name)
	if err != nil {
		return err
	}
	repository, err := registry.Repository(ctx, named)
	if err != nil {
		return err
	}
	r, err := revisionsOf(ctx, repository)
	if err != nil || len(r.all) == 0 {
		return err
	}
	tags, err := repository.Tags(ctx).All(ctx)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		desc, err := repository.Tags(ctx).Get(ctx, tag)
		switch {
		case errors.As(err, new(distribution.ErrTagUnknown)): // it was removed, and its history is left
		case err != nil:
			return err
		default:
			if err := r.keep(ctx, desc.Digest); err != nil {
				return err
			}
		}
	}
	vacuum := storage.NewVacuum(ctx, t)
	for _, d := range r.all {
		if !r.kept[d] {
			if err := vacuum.RemoveManifest(name, d, tags); err != nil {
				return err
			}
		}
	}
	return nil
}

// revisions are the manifests of a repository.
type revisions struct {
	manifests distribution.ManifestService
	all       []digest.Digest
	there     map[digest.Digest]bool
	kept      map[digest.Digest]bool
}

func revisionsOf(ctx context.Context, repository distribution.Repository) (*revisions, error) {
	manifests, err := repository.Manifests(ctx)
	if err != nil {
		return nil, err
	}
	list, ok := manifests.(distribution.ManifestEnumerator)
	if !ok {
		return nil, errors.New("this storage does not list its manifests")
	}
	r := &revisions{manifests: manifests, there: map[digest.Digest]bool{}, kept: map[digest.Digest]bool{}}
	err = list.Enumerate(ctx, func(d digest.Digest) error {
		r.all = append(r.all, d)
		r.there[d] = true
		return nil
	})
	if isMissing(err) { // layers alone were pushed
		return r, nil
	}
	return r, err
}

// keep notes a manifest and those that it leads to, which are the images of an index.
func (r *revisions) keep(ctx context.Context, d digest.Digest) error {
	if !r.there[d] || r.kept[d] {
		return nil
	}
	r.kept[d] = true
	manifest, err := r.manifests.Get(ctx, d)
	if err != nil {
		return err
	}
	for _, of := range manifest.References() {
		if err := r.keep(ctx, of.Digest); err != nil {
			return err
		}
	}
	return nil
}
