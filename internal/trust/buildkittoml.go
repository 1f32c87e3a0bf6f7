package trust

// BuildKitTOML is a registry's table in buildkitd.toml (moby/buildkit,
// docs/buildkitd.toml.md), and for a mirror its upstream's table as well.
type BuildKitTOML struct {
	Address  string
	Upstream string // what it is a mirror of, such as docker.io; "" for none
	Plain    bool
	CA       string // path of the CA's file on the client
}

// Part implements Editor.
func (b BuildKitTOML) Part() string {
	return partName("buildkitd.toml", b.Address, b.Upstream, word(b.Plain, "http", "https"), b.CA)
}

// Has implements Editor.
func (b BuildKitTOML) Has(data []byte) bool {
	decoded, err := decodeTOML(data)
	if err != nil {
		return false
	}
	top, _ := decoded.(map[string]any)
	registries, _ := top["registry"].(map[string]any)
	mine, _ := registries[b.Address].(map[string]any)
	if b.Plain && mine["http"] != true || b.CA != "" && !says(mine["ca"], b.CA) {
		return false
	}
	hub, _ := registries[b.Upstream].(map[string]any)
	return b.Upstream == "" || says(hub["mirrors"], b.Address)
}

// Apply implements Editor.
func (b BuildKitTOML) Apply(data []byte) ([]byte, error) {
	if b.Has(data) {
		return data, nil
	}
	base := removeMarked(data, b.Address)
	all, err := tomlIndex(base)
	if err != nil {
		return nil, err
	}
	if e, ok := findTOML(all, true, "registry", b.Address); ok {
		return nil, refuse(e.line, "make the entry by hand", "%s is set up there in another way", b.Address)
	}
	text := []string{"[registry." + tomlText(b.Address) + "]"}
	if b.Plain {
		text = append(text, "  http = true")
	}
	if b.CA != "" {
		text = append(text, "  ca = ["+tomlText(b.CA)+"]")
	}
	if b.Upstream != "" {
		if e, ok := findTOML(all, true, "registry", b.Upstream); ok {
			return nil, refuse(e.line, "add the mirror by hand", "%s is set up there already", b.Upstream)
		}
		text = append(text, "[registry."+tomlText(b.Upstream)+"]", "  mirrors = ["+tomlText(b.Address)+"]")
	}
	return appendTOML(b, base, b.Address, text...)
}

// Remove implements Editor.
func (b BuildKitTOML) Remove(data []byte) ([]byte, error) { return removeMarked(data, b.Address), nil }
