package export

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
)

// Kubernetes is w as a Secret with its files, a claim for its images, a Deployment and a
// Service (apps/v1, core/v1). The Deployment is replaced when the files change, since
// its Secret is named by their content.
func Kubernetes(w Workload, showSecrets bool) ([]byte, error) {
	labels := map[string]string{"app.kubernetes.io/name": "registry", "app.kubernetes.io/instance": w.Name, "app.kubernetes.io/managed-by": "regctl"}
	k := kube{w: w, labels: labels, secret: w.Name + "-" + digest(w.Files)}
	parts := []any{k.files(showSecrets)}
	if k.dataMount() != nil {
		parts = append(parts, k.claim())
	}
	return document(append(parts, k.deployment(), k.service())...)
}

type (
	kube struct {
		w      Workload
		labels map[string]string
		secret string // its name
	}
	object = map[string]any
	list   = []any
)

// dataMount is where the images lie; nil where they lie elsewhere.
func (k kube) dataMount() *Mount {
	for i, m := range k.w.Mounts {
		if !m.ReadOnly {
			return &k.w.Mounts[i]
		}
	}
	return nil
}

func (k kube) meta(name string) object { return object{"name": name, "labels": k.labels} }

func (k kube) files(show bool) object {
	data := object{}
	for path, content := range k.w.Files {
		data[keyOf(path)] = "***"
		if show {
			data[keyOf(path)] = base64.StdEncoding.EncodeToString(content)
		}
	}
	return object{"apiVersion": "v1", "kind": "Secret", "metadata": k.meta(k.secret), "type": "Opaque", "immutable": true, "data": data}
}

func (k kube) claim() object {
	return object{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": k.meta(k.w.Name),
		"spec": object{"accessModes": list{"ReadWriteOnce"}, "resources": object{"requests": object{"storage": "50Gi"}}},
	}
}

func (k kube) deployment() object {
	var items list
	for _, path := range slices.Sorted(maps.Keys(k.w.Files)) {
		items = append(items, object{"key": keyOf(path), "path": path})
	}
	volumes := list{object{"name": "serve", "secret": object{"secretName": k.secret, "defaultMode": 0o440, "items": items}}}
	mounts := list{object{"name": "serve", "mountPath": k.w.Mounts[0].Target, "readOnly": true}}
	if m := k.dataMount(); m != nil {
		volumes = append(volumes, object{"name": "data", "persistentVolumeClaim": object{"claimName": k.w.Name}})
		mounts = append(mounts, object{"name": "data", "mountPath": m.Target})
	}
	container := object{
		"name": "registry", "image": k.w.Image, "imagePullPolicy": "IfNotPresent", "args": k.w.Args,
		"ports":           list{object{"name": "registry", "containerPort": k.w.Inside}},
		"volumeMounts":    mounts,
		"securityContext": object{"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": object{"drop": list{"ALL"}}},
		"readinessProbe":  k.probe(10),
		"livenessProbe":   k.probe(30),
	}
	if env := k.env(); env != nil {
		container["env"] = env
	}
	pod := object{
		"automountServiceAccountToken": false, "enableServiceLinks": false, "terminationGracePeriodSeconds": stopSeconds,
		"securityContext": object{
			"runAsNonRoot": k.w.UID != 0, "runAsUser": k.w.UID, "runAsGroup": k.w.GID, "fsGroup": k.w.GID,
			"seccompProfile": object{"type": "RuntimeDefault"},
		},
		"containers": list{container}, "volumes": volumes,
	}
	if aliases := k.aliases(); aliases != nil {
		pod["hostAliases"] = aliases
	}
	return object{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": k.meta(k.w.Name),
		"spec": object{
			"replicas": 1, "strategy": object{"type": "Recreate"}, "selector": object{"matchLabels": k.labels},
			"template": object{"metadata": object{"labels": k.labels}, "spec": pod},
		},
	}
}

// probe asks as the container's own health check does, or for the port.
func (k kube) probe(seconds int) object {
	p := object{"periodSeconds": seconds, "timeoutSeconds": 5}
	if k.w.Health != nil {
		p["exec"] = object{"command": k.w.Health}
	} else {
		p["tcpSocket"] = object{"port": "registry"}
	}
	return p
}

func (k kube) env() (env list) {
	for _, e := range k.w.Env {
		name, value, _ := strings.Cut(e, "=")
		env = append(env, object{"name": name, "value": value})
	}
	return env
}

func (k kube) aliases() (aliases list) {
	for _, h := range k.w.AddHosts {
		name, ip, _ := strings.Cut(h, ":")
		aliases = append(aliases, object{"ip": strings.Trim(ip, "[]"), "hostnames": list{name}})
	}
	return aliases
}

func (k kube) service() object {
	return object{
		"apiVersion": "v1", "kind": "Service", "metadata": k.meta(k.w.Name),
		"spec": object{
			"type": "LoadBalancer", "selector": k.labels,
			"ports": list{object{"name": "registry", "port": k.w.Port, "targetPort": "registry"}},
		},
	}
}

// keyOf is a path as a Secret may call it.
func keyOf(path string) string { return strings.ReplaceAll(path, "/", "_") }

// digest tells one state of the files from another.
func digest(files map[string][]byte) string {
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(files)) {
		sum := sha256.Sum256(files[path])
		h.Write([]byte(path))
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))[:10]
}
