// An operator for the test: a Store keeps a ConfigMap with what it sells, says in its status how much that is, and keeps its books until
// the end.
package operator

import (
	"context"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

const finalizer = "shop.example.com/books"

var groupVersion = schema.GroupVersion{Group: "shop.example.com", Version: "v1"}

// Store is the custom kind.
type Store struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              StoreSpec   `json:"spec,omitempty"`
	Status            StoreStatus `json:"status,omitempty"`
}

// StoreSpec is what a Store shall be.
type StoreSpec struct {
	Goods []string `json:"goods,omitempty"`
	// The definition gives it a default.
	Currency string `json:"currency,omitempty"`
}

// StoreStatus is what a Store is.
type StoreStatus struct {
	Goods    int    `json:"goods"`
	Currency string `json:"currency,omitempty"`
}

// DeepCopyObject is asked for by the scheme.
func (s *Store) DeepCopyObject() runtime.Object {
	copied := *s
	copied.ObjectMeta = *s.ObjectMeta.DeepCopy()
	copied.Spec.Goods = append([]string(nil), s.Spec.Goods...)
	return &copied
}

// StoreList is a list of them.
type StoreList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Store `json:"items"`
}

// DeepCopyObject is asked for by the scheme.
func (l *StoreList) DeepCopyObject() runtime.Object {
	copied := *l
	copied.Items = make([]Store, len(l.Items))
	for i := range l.Items {
		copied.Items[i] = *l.Items[i].DeepCopyObject().(*Store)
	}
	return &copied
}

func addToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(groupVersion, &Store{}, &StoreList{})
	metav1.AddToGroupVersion(scheme, groupVersion)
	return corev1.AddToScheme(scheme)
}

type reconciler struct{ client.Client }

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var store Store
	if err := r.Get(ctx, request.NamespacedName, &store); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !store.DeletionTimestamp.IsZero() {
		books := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "closed-" + store.Name, Namespace: store.Namespace}}
		if err := r.Create(ctx, books); client.IgnoreAlreadyExists(err) != nil {
			return ctrl.Result{}, err
		}
		controllerutil.RemoveFinalizer(&store, finalizer)
		return ctrl.Result{}, r.Update(ctx, &store)
	}
	if controllerutil.AddFinalizer(&store, finalizer) {
		if err := r.Update(ctx, &store); err != nil {
			return ctrl.Result{}, err
		}
	}
	shelf := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: store.Name, Namespace: store.Namespace}}
	_, err := controllerutil.CreateOrUpdate(ctx, r.Client, shelf, func() error {
		shelf.Data = map[string]string{}
		for i, good := range store.Spec.Goods {
			shelf.Data[strconv.Itoa(i)] = good
		}
		return controllerutil.SetControllerReference(&store, shelf, r.Scheme())
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	before := store.DeepCopyObject().(*Store)
	store.Status = StoreStatus{Goods: len(store.Spec.Goods), Currency: store.Spec.Currency}
	return ctrl.Result{}, r.Status().Patch(ctx, &store, client.MergeFrom(before))
}

func setUp(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).For(&Store{}).Owns(&corev1.ConfigMap{}).Complete(&reconciler{manager.GetClient()})
}
