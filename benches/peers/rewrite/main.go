// The way of Go: the same rewriting by encoding/json with maps, and by apimachinery's unstructured objects.
//
//	cargo run --release -p benches --example engine -- write /tmp/documents
//	go run . /tmp/documents 10
//
// reads the documents that the engine is measured with, rewrites each of them that many times and prints the best round. The
// origin labels are taken to be this cluster's, as they are in the documents; everything else is what ../../src/value.rs does.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	reserved         = "mcp-connector.upbound.io/"
	labelCluster     = reserved + "app-cluster"
	labelNamespace   = reserved + "app-namespace"
	labelName        = reserved + "app-resource-name"
	annotationSecret = reserved + "connection-secret-name"
)

type rewriter func(document []byte, out *bytes.Buffer) error

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: %s <folder of documents> <rounds>", os.Args[0]))
	}
	rounds, err := strconv.Atoi(os.Args[2])
	fail(err)
	for _, one := range []struct {
		shape, way string
		rewrite    rewriter
	}{
		{"list", "json map", list},
		{"list", "unstructured", unstructuredList},
		{"table", "json map", table},
		{"watch", "json map", watch},
		{"object", "json map", object},
		{"object", "unstructured", unstructuredObject},
	} {
		document, err := os.ReadFile(filepath.Join(os.Args[1], one.shape+".json"))
		fail(err)
		// A single object is over too soon to be timed alone.
		times := 1 + 1_000_000/len(document)
		best := time.Duration(1<<63 - 1)
		var out bytes.Buffer
		for range rounds {
			start := time.Now()
			for range times {
				out.Reset()
				fail(one.rewrite(document, &out))
			}
			best = min(best, time.Since(start))
		}
		if bytes.Contains(out.Bytes(), []byte(reserved)) {
			fail(fmt.Errorf("%s by %s is not local", one.shape, one.way))
		}
		rate := float64(len(document)*times) / 1e6 / best.Seconds()
		fmt.Printf("%s, %s: %.1f MB/s\n", one.shape, one.way, rate)
	}
}

func list(document []byte, out *bytes.Buffer) error {
	var root map[string]any
	if err := json.Unmarshal(document, &root); err != nil {
		return err
	}
	for _, item := range root["items"].([]any) {
		edit(item.(map[string]any))
	}
	return json.NewEncoder(out).Encode(root)
}

func unstructuredList(document []byte, out *bytes.Buffer) error {
	decoded, _, err := unstructured.UnstructuredJSONScheme.Decode(document, nil, nil)
	if err != nil {
		return err
	}
	items := decoded.(*unstructured.UnstructuredList)
	for _, item := range items.Items {
		edit(item.Object)
	}
	return unstructured.UnstructuredJSONScheme.Encode(items, out)
}

func table(document []byte, out *bytes.Buffer) error {
	var root map[string]any
	if err := json.Unmarshal(document, &root); err != nil {
		return err
	}
	for _, row := range root["rows"].([]any) {
		row := row.(map[string]any)
		remote, local, hashed, secret := edit(row["object"].(map[string]any))
		cells := row["cells"].([]any)
		for at, cell := range cells {
			switch {
			case cell == remote:
				cells[at] = local
			case secret != "" && cell == hashed:
				cells[at] = secret
			}
		}
	}
	return json.NewEncoder(out).Encode(root)
}

func watch(document []byte, out *bytes.Buffer) error {
	decoder, encoder := json.NewDecoder(bytes.NewReader(document)), json.NewEncoder(out)
	for decoder.More() {
		var event map[string]any
		if err := decoder.Decode(&event); err != nil {
			return err
		}
		edit(event["object"].(map[string]any))
		if err := encoder.Encode(event); err != nil {
			return err
		}
	}
	return nil
}

func object(document []byte, out *bytes.Buffer) error {
	var root map[string]any
	if err := json.Unmarshal(document, &root); err != nil {
		return err
	}
	edit(root)
	return json.NewEncoder(out).Encode(root)
}

func unstructuredObject(document []byte, out *bytes.Buffer) error {
	decoded, _, err := unstructured.UnstructuredJSONScheme.Decode(document, nil, nil)
	if err != nil {
		return err
	}
	edit(decoded.(*unstructured.Unstructured).Object)
	return unstructured.UnstructuredJSONScheme.Encode(decoded, out)
}

// edit makes a remote object local; it tells both names of the object and of its connection secret.
func edit(object map[string]any) (remote, local, hashed, secret string) {
	metadata := object["metadata"].(map[string]any)
	labels := metadata["labels"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	cluster := labels[labelCluster].(string)
	namespace, name := labels[labelNamespace].(string), labels[labelName].(string)
	remote, _ = metadata["name"].(string)
	if secret, _ = annotations[annotationSecret].(string); secret != "" {
		sum := sha256.Sum256([]byte(secret + "-x-" + namespace + "-x-" + cluster))
		hashed = "claim-" + hex.EncodeToString(sum[:8])
	}
	delete(metadata, "ownerReferences")
	for _, key := range []string{"labels", "annotations"} {
		if entries, ok := metadata[key].(map[string]any); ok {
			if weed(entries, reserved) {
				delete(metadata, key)
			}
		}
	}
	metadata["name"], metadata["namespace"] = name, namespace
	managers, _ := metadata["managedFields"].([]any)
	for _, manager := range managers {
		fields, _ := manager.(map[string]any)["fieldsV1"].(map[string]any)
		own, _ := fields["f:metadata"].(map[string]any)
		for _, key := range []string{"f:labels", "f:annotations"} {
			if entries, ok := own[key].(map[string]any); ok && weed(entries, "f:"+reserved) {
				delete(own, key)
			}
		}
	}
	if spec, ok := object["spec"].(map[string]any); ok {
		if reference, ok := spec["writeConnectionSecretToRef"].(map[string]any); ok && reference["name"] == hashed {
			reference["name"] = secret
		}
	}
	return remote, name, hashed, secret
}

// weed takes away what begins with a prefix, and tells whether nothing is left.
func weed(entries map[string]any, prefix string) bool {
	for key := range entries {
		if strings.HasPrefix(key, prefix) {
			delete(entries, key)
		}
	}
	return len(entries) == 0
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
