package trust

import (
	"fmt"
	"strconv"
	"strings"
)

// partName joins a part's words. It has no white space, which a host's record of
// parts does not take.
func partName(words ...string) string {
	escape := strings.NewReplacer("%", "%25", ",", "%2C", " ", "%20", "\t", "%09")
	for i, w := range words {
		words[i] = escape.Replace(w)
	}
	return strings.Join(words, ",")
}

// FromPart gives the editor that put a part into a file, so that an undo needs
// the part's name and nothing else.
func FromPart(part string) (Editor, error) {
	words := partWords(part)
	w := words[1:]
	switch fmt.Sprint(words[0], len(w)) {
	case "insecure-registries1", "registry-mirrors1":
		return DaemonJSON{List(words[0]), w[0]}, nil
	case "hosts3":
		return HostsLine{ID: w[0], Host: w[1], IP: w[2]}, nil
	case "flag2":
		return ShellFlag{Var: w[0], Address: w[1]}, nil
	case "config_path3":
		major, err := strconv.Atoi(w[1])
		return ConfigPath{ID: w[0], Major: major, Dir: w[2]}, err
	case "hosts.toml4":
		return HostsTOML{ID: w[0], URL: w[1], Mirror: w[2] == "mirror", CA: w[3]}, nil
	case "buildkitd.toml4":
		return BuildKitTOML{Address: w[0], Upstream: w[1], Plain: w[2] == "http", CA: w[3]}, nil
	case "registries.yaml4":
		return RegistriesYAML{ID: w[0], URL: w[1], Upstream: w[2], CA: w[3]}, nil
	case "docker-auth1":
		return DockerAuth{Address: w[0]}, nil
	case "file2":
		return whole{id: w[0], store: Store(w[1])}, nil
	}
	return nil, fmt.Errorf("no editor is known for the part %q", part)
}

func partWords(part string) []string {
	plain := strings.NewReplacer("%25", "%", "%2C", ",", "%20", " ", "%09", "\t")
	words := strings.Split(part, ",")
	for i, w := range words {
		words[i] = plain.Replace(w)
	}
	return words
}

// PartOf tells of which registry a part is, by its address, and which store placed
// it. Folders serve several stores: theirs is "". A part that is not known is of no
// registry.
func PartOf(part string) (registry string, store Store) {
	w := append(partWords(part), "", "")
	switch w[0] {
	case string(InsecureRegistries):
		return w[1], Insecure
	case string(RegistryMirrors):
		_, address, _ := strings.Cut(w[1], "://")
		return address, Mirror
	case "hosts":
		return w[1], MapHost
	case "flag":
		return w[2], Legacy
	case "config_path", "hosts.toml":
		return w[1], Containerd
	case "buildkitd.toml":
		return w[1], BuildKit
	case "registries.yaml":
		return w[1], K3s
	case "docker-auth", "docker-auth-helper":
		return w[1], LoginStore
	case "file":
		return w[1], Store(w[2])
	case "dir":
		return w[1], ""
	}
	return "", ""
}
