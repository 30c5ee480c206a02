// A reverse proxy of Go's standard library, to be compared with: what kube-apiserver's aggregation layer is made of.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
)

const reserved = "mcp-connector.upbound.io/"

func main() {
	listen := flag.String("listen", "127.0.0.1:8443", "where to listen, TLS")
	upstream := flag.String("upstream", "", "URL to pass requests on to")
	cert := flag.String("cert", "", "serving certificate, PEM")
	key := flag.String("key", "", "its key, PEM")
	ca := flag.String("ca", "", "the upstream's CA, PEM")
	mode := flag.String("mode", "pass", "pass, pool (with a BufferPool) or rewrite (of the JSON of answers)")
	flag.Parse()

	target, err := url.Parse(*upstream)
	check(err)
	pem, err := os.ReadFile(*ca)
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)

	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 1000,
		DisableCompression:  true,
	}
	switch *mode {
	case "pass":
	case "pool":
		proxy.BufferPool = &buffers{sync.Pool{New: func() any { return make([]byte, 32<<10) }}}
	case "rewrite":
		proxy.ModifyResponse = rewrite
	default:
		log.Fatalf("-mode %q is none of pass, pool and rewrite", *mode)
	}
	server := &http.Server{Addr: *listen, Handler: proxy, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 10000}}
	check(server.ListenAndServeTLS(*cert, *key))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// rewrite does to the answer what one would write first: decode, change, encode.
func rewrite(answer *http.Response) error {
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	answer.Body.Close()
	var document map[string]any
	if err := json.Unmarshal(body, &document); err != nil {
		return err
	}
	if items, isList := document["items"].([]any); isList {
		for _, item := range items {
			edit(item)
		}
	} else {
		edit(document)
	}
	if body, err = json.Marshal(document); err != nil {
		return err
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	answer.ContentLength = int64(len(body))
	answer.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

// edit gives an object its local name and namespace, and takes the labels of its origin away.
func edit(object any) {
	document, _ := object.(map[string]any)
	metadata, _ := document["metadata"].(map[string]any)
	labels, _ := metadata["labels"].(map[string]any)
	for label, value := range labels {
		if !strings.HasPrefix(label, reserved) {
			continue
		}
		switch label {
		case reserved + "app-resource-name":
			metadata["name"] = value
		case reserved + "app-namespace":
			metadata["namespace"] = value
		}
		delete(labels, label)
	}
}

// buffers is what ReverseProxy copies through.
type buffers struct{ pool sync.Pool }

func (buffers *buffers) Get() []byte       { return buffers.pool.Get().([]byte) }
func (buffers *buffers) Put(buffer []byte) { buffers.pool.Put(buffer) }
