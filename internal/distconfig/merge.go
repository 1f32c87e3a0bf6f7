package distconfig

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/regctl/regctl/internal/fault"
)

// merge lays over upon doc. A key that is new goes where distribution's own
// order puts it.
func merge(doc, over *yaml.Node, k *key) {
	kept, _ := pairs(over)
	for _, p := range kept {
		name := p.key.Value
		var under *key
		if k != nil {
			under = k.keys[name]
		}
		at := index(doc, name)
		switch {
		case at < 0 && isNull(p.value):
			if under != nil && under.keys != nil {
				insert(doc, k, name, emptyMapping())
			}
		case at < 0:
			insert(doc, k, name, p.value)
		case isNull(p.value):
			doc.Content = slices.Delete(doc.Content, at, at+2)
		case doc.Content[at+1].Kind == yaml.MappingNode && p.value.Kind == yaml.MappingNode:
			merge(doc.Content[at+1], p.value, under)
			doc.Content[at+1].Style &^= yaml.FlowStyle // {} may have become more
		default:
			doc.Content[at+1] = p.value
		}
	}
	if len(doc.Content) == 0 {
		doc.Style |= yaml.FlowStyle
	}
}

// arrange puts keys in distribution's own order, for a map has none.
func arrange(n *yaml.Node, k *key) {
	if k == nil {
		return
	}
	if n.Kind == yaml.SequenceNode {
		for _, element := range n.Content {
			arrange(element, k.each)
		}
		return
	}
	if n.Kind != yaml.MappingNode {
		return
	}
	kept, _ := pairs(n)
	slices.SortStableFunc(kept, func(a, b pair) int { return k.rank(a.key.Value) - k.rank(b.key.Value) })
	n.Content = n.Content[:0]
	for _, p := range kept {
		arrange(p.value, k.keys[p.key.Value])
		n.Content = append(n.Content, p.key, p.value)
	}
}

func insert(doc *yaml.Node, k *key, name string, value *yaml.Node) {
	at := len(doc.Content)
	for i := 0; i < len(doc.Content); i += 2 {
		if k.rank(doc.Content[i].Value) > k.rank(name) {
			at = i
			break
		}
	}
	key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}
	doc.Content = slices.Insert(doc.Content, at, key, value)
}

func index(doc *yaml.Node, name string) int {
	for i := 0; i+1 < len(doc.Content); i += 2 {
		if doc.Content[i].Value == name {
			return i
		}
	}
	return -1
}

func remove(doc *yaml.Node, name string) {
	if i := index(doc, name); i >= 0 {
		doc.Content = slices.Delete(doc.Content, i, i+2)
	}
}

// makeRoom takes away what regctl renders by default where the overlay says the
// same thing by another key.
func makeRoom(doc, overlay *yaml.Node) {
	storage := child(doc, "storage")
	if over := child(overlay, "storage"); over != nil && over.Kind == yaml.MappingNode {
		kept, _ := pairs(over)
		for _, p := range kept {
			if slices.Contains(sections, p.key.Value) || index(storage, p.key.Value) >= 0 {
				continue
			}
			for _, driver := range []string{"filesystem", "inmemory", "s3", "azure", "gcs"} {
				remove(storage, driver)
			}
		}
		// The older name goes unread beside the newer one.
		if cache := child(over, "cache"); cache != nil && child(cache, "layerinfo") != nil {
			remove(child(storage, "cache"), "blobdescriptor")
		}
	}
	if child(overlay, "loglevel") != nil {
		remove(child(doc, "log"), "level")
	}
}

// redisFor2 respells the keys of redis as registry 2 has them.
func redisFor2(overlay *yaml.Node) error {
	redis := child(overlay, "redis")
	if redis == nil || redis.Kind != yaml.MappingNode {
		return nil
	}
	if addrs := child(redis, "addrs"); addrs != nil && addrs.Kind == yaml.SequenceNode {
		if len(addrs.Content) != 1 {
			return fault.Usage("name one address in config.redis.addrs, or use registry 3",
				"config.redis.addrs: registry 2 knows one Redis server")
		}
		*addrs = *addrs.Content[0]
	}
	for _, r := range renamed {
		i := index(redis, base(r.new))
		if i < 0 {
			continue
		}
		value := redis.Content[i+1]
		remove(redis, base(r.new))
		in := redis
		if parent(r.old) == "redis.pool" {
			if index(redis, "pool") < 0 {
				insert(redis, nil, "pool", &yaml.Node{Kind: yaml.MappingNode})
			}
			in = child(redis, "pool")
		}
		insert(in, nil, base(r.old), value)
	}
	return nil
}
