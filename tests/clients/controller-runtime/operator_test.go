// Holds an operator of controller-runtime against the API server that KUBEBUILDER_ASSETS names.
package operator

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metrics "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const patience = 20 * time.Second

// world is an API server with the operator beside it.
type world struct {
	client.Client
	env    *envtest.Environment
	config *rest.Config
}

func start(t *testing.T) *world {
	t.Helper()
	log.SetLogger(zap.New(zap.UseDevMode(true)))
	began := time.Now()
	env := &envtest.Environment{CRDDirectoryPaths: []string{"crd.yaml"}, ErrorIfCRDPathMissing: true}
	config, err := env.Start()
	if err != nil {
		t.Fatalf("envtest: %v", err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Errorf("the end of envtest: %v", err)
		}
	})
	t.Logf("envtest with a CRD started in %d ms", time.Since(began).Milliseconds())
	scheme := runtime.NewScheme()
	if err := addToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	manager, err := ctrl.NewManager(config, ctrl.Options{Scheme: scheme, Metrics: metrics.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatalf("manager: %v", err)
	}
	if err := setUp(manager); err != nil {
		t.Fatalf("controller: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("manager: %v", err)
		}
	})
	direct, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return &world{direct, env, config}
}

// eventually asks until what is asked holds.
func eventually(t *testing.T, what string, holds func() (bool, error)) {
	t.Helper()
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var held bool
		if held, last = holds(); held {
			return
		}
	}
	t.Fatalf("not in %v: %s (last error: %v)", patience, what, last)
}

func store(name string, goods ...string) *Store {
	return &Store{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Spec: StoreSpec{Goods: goods}}
}

func TestAnOperator(t *testing.T) {
	w, ctx := start(t), context.Background()

	t.Run("a custom object gets its default, and its status by its own subresource", func(t *testing.T) {
		made := store("a", "tea", "milk")
		made.Status.Goods = 9
		if err := w.Create(ctx, made); err != nil {
			t.Fatal(err)
		}
		if made.Spec.Currency != "EUR" || made.Status.Goods != 0 || made.Generation != 1 {
			t.Fatalf("made %+v", made)
		}
		eventually(t, "the status says two goods", func() (bool, error) {
			err := w.Get(ctx, client.ObjectKeyFromObject(made), made)
			return made.Status.Goods == 2 && made.Status.Currency == "EUR", err
		})
		if made.Generation != 1 || !controllerutil.ContainsFinalizer(made, finalizer) {
			t.Fatalf("after the operator %+v", made.ObjectMeta)
		}
	})

	t.Run("what it owns names its owner, and follows it", func(t *testing.T) {
		var made Store
		key := client.ObjectKey{Namespace: "default", Name: "a"}
		if err := w.Get(ctx, key, &made); err != nil {
			t.Fatal(err)
		}
		var shelf corev1.ConfigMap
		if err := w.Get(ctx, key, &shelf); err != nil {
			t.Fatal(err)
		}
		if !metav1.IsControlledBy(&shelf, &made) || shelf.Data["1"] != "milk" {
			t.Fatalf("shelf %+v", shelf)
		}
		made.Spec.Goods = []string{"rice"}
		if err := w.Update(ctx, &made); err != nil {
			t.Fatal(err)
		}
		if made.Generation != 2 {
			t.Fatalf("generation %d", made.Generation)
		}
		eventually(t, "the shelf has rice alone", func() (bool, error) {
			err := w.Get(ctx, key, &shelf)
			return len(shelf.Data) == 1 && shelf.Data["0"] == "rice", err
		})
		if err := w.Delete(ctx, &shelf); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the shelf is made again", func() (bool, error) {
			var again corev1.ConfigMap
			err := w.Get(ctx, key, &again)
			return err == nil && again.UID != shelf.UID, err
		})
	})

	t.Run("an object that its definition refuses, and an old revision, are refused", func(t *testing.T) {
		wrong := store("b")
		wrong.Spec.Currency = "GBP"
		if err := w.Create(ctx, wrong); !apierrors.IsInvalid(err) {
			t.Fatalf("created: %v", err)
		}
		var made Store
		if err := w.Get(ctx, client.ObjectKey{Namespace: "default", Name: "a"}, &made); err != nil {
			t.Fatal(err)
		}
		made.ResourceVersion = "1"
		if err := w.Update(ctx, &made); !apierrors.IsConflict(err) {
			t.Fatalf("updated: %v", err)
		}
	})

	t.Run("a finalizer holds an object until the operator has done its work", func(t *testing.T) {
		made := store("a")
		if err := w.Delete(ctx, made); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the store is gone", func() (bool, error) {
			err := w.Get(ctx, client.ObjectKeyFromObject(made), made)
			return apierrors.IsNotFound(err), nil
		})
		var books corev1.ConfigMap
		if err := w.Get(ctx, client.ObjectKey{Namespace: "default", Name: "closed-a"}, &books); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("no controller works beside the API server", func(t *testing.T) {
		var shelf corev1.ConfigMap
		key := client.ObjectKey{Namespace: "default", Name: "a"}
		if err := w.Get(ctx, key, &shelf); err != nil {
			t.Fatalf("a shelf without owner stays where nothing collects it: %v", err)
		}
		var nodes corev1.NodeList
		if err := w.List(ctx, &nodes); err != nil || len(nodes.Items) != 0 {
			t.Fatalf("%d nodes: %v", len(nodes.Items), err)
		}
		var accounts corev1.ServiceAccountList
		if err := w.List(ctx, &accounts); err != nil || len(accounts.Items) != 0 {
			t.Fatalf("%d accounts: %v", len(accounts.Items), err)
		}
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default"},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "a"}}},
		}
		if err := w.Create(ctx, pod); err != nil {
			t.Fatalf("a Pod of no ServiceAccount: %v", err)
		}
		if pod.Status.Phase != corev1.PodPending || len(pod.Spec.Volumes) != 0 {
			t.Fatalf("pod %+v", pod)
		}
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default"},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
		}
		if err := w.Create(ctx, service); err != nil || service.Spec.ClusterIP[:7] != "10.0.0." {
			t.Fatalf("service at %q: %v", service.Spec.ClusterIP, err)
		}
	})

	t.Run("a namespace that is deleted ends when its last finalizer goes", func(t *testing.T) {
		made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "late"}}
		if err := w.Create(ctx, made); err != nil {
			t.Fatal(err)
		}
		if err := w.Delete(ctx, made); err != nil {
			t.Fatal(err)
		}
		if err := w.Get(ctx, client.ObjectKeyFromObject(made), made); err != nil {
			t.Fatal(err)
		}
		if made.Status.Phase != corev1.NamespaceTerminating {
			t.Fatalf("phase %s", made.Status.Phase)
		}
		made.Spec.Finalizers = nil
		if err := w.SubResource("finalize").Update(ctx, made); err != nil {
			t.Fatal(err)
		}
		if err := w.Get(ctx, client.ObjectKeyFromObject(made), made); !apierrors.IsNotFound(err) {
			t.Fatalf("after its end: %v", err)
		}
	})

	t.Run("users that envtest makes come in under their names", func(t *testing.T) {
		user, err := w.env.AddUser(envtest.User{Name: "jane", Groups: []string{"system:masters"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		of, err := client.New(user.Config(), client.Options{Scheme: w.Scheme()})
		if err != nil {
			t.Fatal(err)
		}
		var all corev1.NamespaceList
		if err := of.List(ctx, &all); err != nil || len(all.Items) < 4 {
			t.Fatalf("%d namespaces: %v", len(all.Items), err)
		}
		stranger := rest.AnonymousClientConfig(w.config)
		nobody, err := client.New(stranger, client.Options{Scheme: w.Scheme()})
		if err == nil {
			err = nobody.List(ctx, &all)
		}
		if !apierrors.IsUnauthorized(err) && !apierrors.IsForbidden(err) {
			t.Fatalf("somebody without a certificate: %v", err)
		}
	})
}
