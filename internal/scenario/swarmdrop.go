package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/regctl/regctl/internal/statedir"
)

// shed takes away the images that the node was given before, but for that which a
// service runs yet, and those of which swarm keeps containers for its history: they go
// another time.
func (h nodeImages) shed(ctx context.Context, node NodeHost, record statedir.Node, now statedir.NodeImage) error {
	for _, m := range record.Images {
		if m.ID == now.ID {
			continue
		}
		users, err := h.docker.ImageServices(ctx, m.ID)
		if err != nil || len(users) > 0 {
			continue
		}
		if gone, _, err := node.DropImage(ctx, m.ID, false); err == nil && gone {
			record.Unset(m.Ref)
		}
	}
	return statedir.SaveNode(h.dir, record)
}

// drop takes the image away from nodes. An image that another service needs stays.
func (h nodeImages) drop(ctx context.Context, ref string, ids []string) error {
	known, err := h.known()
	if err != nil || len(ids) == 0 {
		return err
	}
	failed := h.each(ctx, ids, func(ctx context.Context, node string) error {
		record := known.nodes[node]
		m, _ := record.Image(ref)
		users, err := h.docker.ImageServices(ctx, m.ID)
		if err == nil && !slices.ContainsFunc(users, func(name string) bool { return name != h.service }) {
			err = h.dropOne(ctx, record, m)
		}
		if err != nil && ctx.Err() == nil {
			h.keeps(fmt.Sprintf("image %s on %s: %v", ref, record.Name, err))
			err = nil
		}
		if err != nil {
			return err
		}
		return h.forgotten(record, m, nil)
	})
	return errors.Join(failed...)
}

func (h nodeImages) dropOne(ctx context.Context, record statedir.Node, m statedir.NodeImage) error {
	node, err := h.access.Dial(ctx, record.Target, record.Settings)
	if err != nil {
		return err
	}
	defer node.Close()
	gone, why, err := node.DropImage(ctx, m.ID, true)
	if err == nil && !gone {
		err = errors.New(why)
	}
	return err
}
