package spec

import (
	"fmt"
	"regexp"
	"strings"
)

// volumeForm is what Docker takes for a volume's name.
var volumeForm = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

// The names of parameters are for package distconfig to check, which has them.
func (s Spec) checkStorage() *finding {
	driver := s.Storage.Driver
	if f := choice("storage.driver", driver, StorageFilesystem, StorageS3, StorageAzure, StorageGCS, StorageOSS, StorageSwift, StorageInMemory); f != nil {
		return f
	}
	switch v := s.Storage.Volume; {
	case v == "":
	case driver != StorageFilesystem:
		return newFinding("storage.volume", "leave it out, or use --storage filesystem", "%s storage keeps nothing in a volume", driver)
	case !volumeForm.MatchString(v):
		return newFinding("storage.volume", "letters, digits, hyphens, dots and underscores, a letter or digit first", "%q is no name for a Docker volume", v)
	}
	switch {
	case driver == StorageSwift && s.Storage.text("regionendpoint") == "":
		return newFinding("storage.options", "--storage-opt regionendpoint=https://swift.example.com", "swift needs regionendpoint: the URL of its S3 interface (s3api)")
	case driver == StorageOSS && s.Storage.text("regionendpoint") == "" && s.Storage.text("region") == "":
		return newFinding("storage.options", "--storage-opt region=cn-hangzhou", "oss needs region, or regionendpoint")
	}
	for _, needed := range map[string][]string{
		StorageS3: {"bucket"}, StorageOSS: {"bucket"}, StorageSwift: {"bucket"}, StorageGCS: {"bucket"},
		StorageAzure: {"accountname", "container"},
	}[driver] {
		if s.Storage.text(needed) == "" {
			return newFinding("storage.options", "--storage-opt "+needed+"=...", "%s needs %s", driver, needed)
		}
	}
	return nil
}

// text is one parameter, "" if it is not there.
func (s Storage) text(name string) string {
	if v := s.Options[name]; v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

// Remote reports whether the images are on another machine.
func (s Storage) Remote() bool {
	return s.Driver != StorageFilesystem && s.Driver != StorageInMemory
}

// Backend is the driver of distribution's that is used, and its parameters: what
// the operator said and what goes without saying. Distribution 3 has no drivers oss
// and swift; both speak S3 too.
func (s Storage) Backend() (driver string, parameters map[string]any) {
	p := cloned(s.Options)
	otherwise := func(name string, value any) {
		if s.text(name) == "" {
			p[name] = value
		}
	}
	switch s.Driver {
	case StorageOSS: // refuses the path style
		region := strings.TrimPrefix(s.text("region"), "oss-")
		otherwise("regionendpoint", "https://s3.oss-"+region+".aliyuncs.com")
		otherwise("forcepathstyle", false)
		otherwise("region", "us-east-1")
		return StorageS3, p
	case StorageSwift: // knows its domain seldom
		otherwise("forcepathstyle", true)
		otherwise("region", "us-east-1")
		return StorageS3, p
	case StorageS3:
		if s.text("regionendpoint") != "" {
			// As distribution 2 had it; 3 would ask the DNS for BUCKET.ENDPOINT.
			otherwise("forcepathstyle", true)
			otherwise("region", "us-east-1")
		}
	}
	return s.Driver, p
}

// cloned shares nothing with m.
func cloned(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for name, v := range m {
		if below, ok := v.(map[string]any); ok {
			v = cloned(below)
		}
		out[name] = v
	}
	return out
}

// warning is what people should know of the storage, or "".
func (s Storage) warning() string {
	switch s.Driver {
	case StorageInMemory:
		return "inmemory storage: the images are gone when the registry stops"
	case StorageOSS, StorageSwift:
		_, p := s.Backend()
		style := "path"
		if fmt.Sprint(p["forcepathstyle"]) == "false" {
			style = "virtual-host"
		}
		return fmt.Sprintf("%s storage: distribution 3 has no such driver, so its S3 interface is used, at %v, %s style", s.Driver, p["regionendpoint"], style)
	}
	return ""
}
