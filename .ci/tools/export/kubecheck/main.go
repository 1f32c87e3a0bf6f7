// Command kubecheck reads Kubernetes manifests from standard input as the API's own types
// and fails for a field that they do not have.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := check(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "kubecheck:", err)
		os.Exit(1)
	}
}

func check(r io.Reader) error {
	all, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	for _, document := range bytes.Split(all, []byte("\n---\n")) {
		var head struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal(document, &head); err != nil {
			return err
		}
		into := map[string]any{
			"v1 Secret": &corev1.Secret{}, "v1 PersistentVolumeClaim": &corev1.PersistentVolumeClaim{},
			"v1 Service": &corev1.Service{}, "apps/v1 Deployment": &appsv1.Deployment{},
		}[head.APIVersion+" "+head.Kind]
		if into == nil {
			return fmt.Errorf("%s %s: not one of those that are exported", head.APIVersion, head.Kind)
		}
		if err := yaml.UnmarshalStrict(document, into); err != nil {
			return fmt.Errorf("%s: %w", head.Kind, err)
		}
		fmt.Println(head.Kind)
	}
	return nil
}
