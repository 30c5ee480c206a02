// Command clients runs client-go's informers and a controller-runtime manager against one kind of claim, and prints what they
// see: one JSON document for each line of stdout.
//
//	KUBECONFIG=… clients GROUP VERSION RESOURCE KIND
//
// Clients are "dynamic" (whole objects), "metadata" (PartialObjectMetadata) and "manager" (a cached client, a controller that
// makes a ConfigMap for each claim and owns it). Events are "request" (what was asked, and the answer's status), "synced",
// "add", "update", "delete", "reconcile" and "error".
package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// line is one line of output.
type line struct {
	Client string `json:"client"`
	Event  string `json:"event"`
	Object any    `json:"object,omitempty"`
	Name   string `json:"name,omitempty"`
	URL    string `json:"url,omitempty"`
	Status int    `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`
}

var printing sync.Mutex

func tell(l line) {
	printing.Lock()
	defer printing.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(l); err != nil {
		panic(err)
	}
}

// teller tells each request before its answer is read.
type teller struct {
	client string
	next   http.RoundTripper
}

func (t teller) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(request)
	l := line{Client: t.client, Event: "request", URL: request.Method + " " + request.URL.RequestURI()}
	if err != nil {
		l.Error = err.Error()
	} else {
		l.Status = response.StatusCode
	}
	tell(l)
	return response, err
}

func config(of *rest.Config, name string) *rest.Config {
	of = rest.CopyConfig(of)
	of.UserAgent = name
	of.Wrap(func(next http.RoundTripper) http.RoundTripper { return teller{name, next} })
	return of
}

func handle(ctx context.Context, name string, informer cache.SharedIndexInformer) {
	must(informer.SetWatchErrorHandler(func(_ *cache.Reflector, err error) {
		tell(line{Client: name, Event: "error", Error: err.Error()})
	}))
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { tell(line{Client: name, Event: "add", Object: object}) },
		UpdateFunc: func(_, object any) { tell(line{Client: name, Event: "update", Object: object}) },
		DeleteFunc: func(object any) {
			// Deleted while nobody watched.
			if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = last.Obj
			}
			tell(line{Client: name, Event: "delete", Object: object})
		},
	})
	must(err)
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			tell(line{Client: name, Event: "synced"})
		}
	}()
}

// owner makes a ConfigMap for each claim.
type owner struct {
	client.Client
	kind schema.GroupVersionKind
}

func (o owner) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	claim := &unstructured.Unstructured{}
	claim.SetGroupVersionKind(o.kind)
	err := o.Get(ctx, request.NamespacedName, claim)
	if apierrors.IsNotFound(err) {
		tell(line{Client: "manager", Event: "gone", Name: request.String()})
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	tell(line{Client: "manager", Event: "reconcile", Name: request.String(), Object: claim})
	if claim.GetDeletionTimestamp() != nil {
		return reconcile.Result{}, nil
	}
	owned := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "of-" + request.Name, Namespace: request.Namespace}}
	_, err = controllerutil.CreateOrUpdate(ctx, o.Client, owned, func() error {
		owned.Data = map[string]string{"uid": string(claim.GetUID())}
		return controllerutil.SetControllerReference(claim, owned, o.Scheme())
	})
	// Another reconciliation was faster: the cache will tell.
	if apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) {
		return reconcile.Result{Requeue: true}, nil
	}
	if err != nil {
		tell(line{Client: "manager", Event: "error", Error: err.Error()})
	}
	return reconcile.Result{}, err
}

func manage(ctx context.Context, base *rest.Config, kind schema.GroupVersionKind) {
	manager, err := ctrl.NewManager(config(base, "manager"), ctrl.Options{
		Metrics: server.Options{BindAddress: "0"},
		Client:  client.Options{Cache: &client.CacheOptions{Unstructured: true}},
	})
	must(err)
	claim := &unstructured.Unstructured{}
	claim.SetGroupVersionKind(kind)
	must(ctrl.NewControllerManagedBy(manager).
		Named("owner").
		For(claim).
		Owns(&corev1.ConfigMap{}).
		Complete(owner{manager.GetClient(), kind}))
	go func() {
		// Not GetCache().WaitForCacheSync, which is content with the informers that there are, and at first there are none.
		informer, err := manager.GetCache().GetInformer(ctx, claim)
		must(err)
		if cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			tell(line{Client: "manager", Event: "synced"})
		}
	}()
	must(manager.Start(ctx))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	group, version, resource, kind := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	base, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	must(err)
	ctx := ctrl.SetupSignalHandler()
	ctrl.SetLogger(logr.Discard())
	of := schema.GroupVersionResource{Group: group, Version: version, Resource: resource}

	objects, err := dynamic.NewForConfig(config(base, "dynamic"))
	must(err)
	dynamics := dynamicinformer.NewDynamicSharedInformerFactory(objects, 0)
	handle(ctx, "dynamic", dynamics.ForResource(of).Informer())
	dynamics.Start(ctx.Done())

	partial, err := metadata.NewForConfig(config(base, "metadata"))
	must(err)
	metadatas := metadatainformer.NewSharedInformerFactory(partial, 0)
	handle(ctx, "metadata", metadatas.ForResource(of).Informer())
	metadatas.Start(ctx.Done())

	manage(ctx, base, schema.GroupVersionKind{Group: group, Version: version, Kind: kind})
}
