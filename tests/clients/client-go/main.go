// What client-go does with a cluster: each line says a thing that it did, or what went wrong. The argument is a kubeconfig.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	appsac "k8s.io/client-go/applyconfigurations/apps/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/pager"
)

const patience = 30 * time.Second

var (
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	widgets     = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}
)

type world struct {
	config *rest.Config
	typed  *kubernetes.Clientset
	dyn    dynamic.Interface
	meta   metadata.Interface
}

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	must(err)
	config.UserAgent = "client-go-check/1"
	binary := rest.CopyConfig(config)
	binary.ContentType = "application/vnd.kubernetes.protobuf"
	binary.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	w := world{config: config}
	w.typed, err = kubernetes.NewForConfig(binary)
	must(err)
	w.dyn, err = dynamic.NewForConfig(config)
	must(err)
	w.meta, err = metadata.NewForConfig(config)
	must(err)
	failed := 0
	for _, check := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"discovery finds every kind", w.discovery},
		{"typed objects are created, read, updated, patched and deleted as protobuf", w.crud},
		{"typed configurations are applied, refused and forced", w.apply},
		{"a status is applied by its subresource", w.applyStatus},
		{"a list is read in pages", w.pages},
		{"a shared informer sees what comes, changes and goes", w.informer},
		{"a leader is elected, and lets another lead", w.leader},
		{"a definition makes a kind that the dynamic client and its informer see", w.dynamic},
		{"the metadata client and its informer see metadata alone", w.metadata},
		{"a Pod runs, is evicted and is gone", w.pod},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := check.run(ctx)
		cancel()
		if err != nil {
			failed++
			fmt.Printf("FAILED %s: %v\n", check.name, err)
		} else {
			fmt.Printf("ok     %s\n", check.name)
		}
	}
	if failed > 0 {
		os.Exit(1)
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func (w world) discovery(ctx context.Context) error {
	_, lists, err := w.typed.Discovery().ServerGroupsAndResources()
	if err != nil {
		return err
	}
	found := 0
	for _, list := range lists {
		found += len(list.APIResources)
	}
	if found < 80 {
		return fmt.Errorf("%d resources", found)
	}
	_, err = w.typed.Discovery().ServerVersion()
	return err
}

func (w world) crud(ctx context.Context) error {
	maps := w.typed.CoreV1().ConfigMaps("default")
	made, err := maps.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "crud-"}, Data: map[string]string{"k": "v"},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if len(made.ManagedFields) != 1 || made.ManagedFields[0].Manager != "client-go-check" {
		return fmt.Errorf("managed by %v", made.ManagedFields)
	}
	made.Data["l"] = "w"
	updated, err := maps.Update(ctx, made, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	if _, err := maps.Update(ctx, made, metav1.UpdateOptions{}); !errors.IsConflict(err) {
		return fmt.Errorf("an old revision: %v", err)
	}
	patch := []byte(`{"data":{"k":null}}`)
	patched, err := maps.Patch(ctx, updated.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return err
	}
	if len(patched.Data) != 1 || patched.Data["l"] != "w" {
		return fmt.Errorf("patched to %v", patched.Data)
	}
	if err := maps.Delete(ctx, patched.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(patched.UID))}); err != nil {
		return err
	}
	if _, err := maps.Get(ctx, patched.Name, metav1.GetOptions{}); !errors.IsNotFound(err) {
		return fmt.Errorf("after its end: %v", err)
	}
	return nil
}

func deployment(replicas int32) *appsac.DeploymentApplyConfiguration {
	labels := map[string]string{"app": "applied"}
	container := coreac.Container().WithName("c").WithImage("x:1").WithPorts(coreac.ContainerPort().WithContainerPort(80))
	template := coreac.PodTemplateSpec().WithLabels(labels).WithSpec(coreac.PodSpec().WithContainers(container))
	spec := appsac.DeploymentSpec().WithReplicas(replicas).WithSelector(metaac.LabelSelector().WithMatchLabels(labels)).WithTemplate(template)
	return appsac.Deployment("applied", "default").WithSpec(spec)
}

func (w world) apply(ctx context.Context) error {
	all := w.typed.AppsV1().Deployments("default")
	if _, err := all.Apply(ctx, deployment(1), metav1.ApplyOptions{FieldManager: "one"}); err != nil {
		return err
	}
	other := appsac.Deployment("applied", "default").WithSpec(appsac.DeploymentSpec().WithReplicas(2))
	if _, err := all.Apply(ctx, other, metav1.ApplyOptions{FieldManager: "two"}); !errors.IsConflict(err) {
		return fmt.Errorf("not a conflict: %v", err)
	}
	forced, err := all.Apply(ctx, other, metav1.ApplyOptions{FieldManager: "two", Force: true})
	if err != nil {
		return err
	}
	// Controllers may have written to it by then.
	updates := func(one metav1.ManagedFieldsEntry) bool { return one.Operation != metav1.ManagedFieldsOperationApply }
	managers := slices.DeleteFunc(forced.ManagedFields, updates)
	if *forced.Spec.Replicas != 2 || len(managers) != 2 {
		return fmt.Errorf("%d replicas of %d managers", *forced.Spec.Replicas, len(managers))
	}
	extracted, err := appsac.ExtractDeployment(forced, "two")
	if err != nil {
		return err
	}
	if *extracted.Spec.Replicas != 2 || extracted.Spec.Template != nil {
		return fmt.Errorf("extracted %v", extracted.Spec)
	}
	return nil
}

func (w world) applyStatus(ctx context.Context) error {
	// One that no controller writes.
	seen := appsac.DeploymentCondition().WithType("Seen").WithStatus(corev1.ConditionTrue)
	status := appsac.DeploymentStatus().WithConditions(seen)
	object := appsac.Deployment("applied", "default").WithStatus(status)
	applied, err := w.typed.AppsV1().Deployments("default").ApplyStatus(ctx, object, metav1.ApplyOptions{FieldManager: "status"})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(applied.Status.Conditions, func(one appsv1.DeploymentCondition) bool { return one.Type == "Seen" }) {
		return fmt.Errorf("status %v", applied.Status)
	}
	return w.typed.AppsV1().Deployments("default").Delete(ctx, "applied", metav1.DeleteOptions{})
}

func (w world) pages(ctx context.Context) error {
	maps := w.typed.CoreV1().ConfigMaps("default")
	for i := range 7 {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("page-%d", i), Labels: map[string]string{"in": "pages"}}}
		if _, err := maps.Create(ctx, object, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	seen := 0
	reader := pager.New(pager.SimplePageFunc(func(options metav1.ListOptions) (runtime.Object, error) {
		return maps.List(ctx, options)
	}))
	reader.PageSize = 3
	err := reader.EachListItem(ctx, metav1.ListOptions{LabelSelector: "in=pages"}, func(runtime.Object) error {
		seen++
		return nil
	})
	if err != nil || seen != 7 {
		return fmt.Errorf("%d of 7: %w", seen, err)
	}
	return maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "in=pages"})
}

// What an informer told.
type told chan string

func (t told) handler() cache.ResourceEventHandlerFuncs {
	name := func(object any) string {
		key, _ := cache.DeletionHandlingMetaNamespaceKeyFunc(object)
		return key
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { t <- "add " + name(object) },
		UpdateFunc: func(_, object any) { t <- "update " + name(object) },
		DeleteFunc: func(object any) { t <- "delete " + name(object) },
	}
}

func (t told) wait(ctx context.Context, wanted string) error {
	for {
		select {
		case said := <-t:
			if said == wanted {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("never told: %s", wanted)
		}
	}
}

func (w world) informer(ctx context.Context) error {
	factory := informers.NewSharedInformerFactory(w.typed, 0)
	informer := factory.Core().V1().ConfigMaps().Informer()
	events := make(told, 1000)
	if _, err := informer.AddEventHandler(events.handler()); err != nil {
		return err
	}
	factory.StartWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return fmt.Errorf("it has not synced")
	}
	maps := w.typed.CoreV1().ConfigMaps("default")
	made, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "seen"}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if err := events.wait(ctx, "add default/seen"); err != nil {
		return err
	}
	made.Data = map[string]string{"k": "v"}
	if _, err := maps.Update(ctx, made, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if err := events.wait(ctx, "update default/seen"); err != nil {
		return err
	}
	if err := maps.Delete(ctx, "seen", metav1.DeleteOptions{}); err != nil {
		return err
	}
	return events.wait(ctx, "delete default/seen")
}

func (w world) leader(ctx context.Context) error {
	run := func(identity string) (context.CancelFunc, chan struct{}) {
		ctx, cancel := context.WithCancel(ctx)
		leads := make(chan struct{})
		lock := &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Name: "leader", Namespace: "default"}, Client: w.typed.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
		}
		go leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock: lock, ReleaseOnCancel: true, LeaseDuration: 4 * time.Second, RenewDeadline: 3 * time.Second, RetryPeriod: 100 * time.Millisecond,
			Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) { close(leads) }, OnStoppedLeading: func() {}},
		})
		return cancel, leads
	}
	lead := func(leads chan struct{}) error {
		select {
		case <-leads:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("nobody leads")
		}
	}
	end, leads := run("one")
	if err := lead(leads); err != nil {
		return err
	}
	endOther, otherLeads := run("two")
	defer endOther()
	end()
	return lead(otherLeads)
}

func definition() *unstructured.Unstructured {
	object := func(properties map[string]any) map[string]any {
		return map[string]any{"type": "object", "properties": properties}
	}
	text := map[string]any{"type": "string"}
	spec := object(map[string]any{"size": map[string]any{"type": "integer", "default": int64(1)}, "name": text})
	version := map[string]any{
		"name": "v1", "served": true, "storage": true, "subresources": map[string]any{"status": map[string]any{}},
		"schema": map[string]any{"openAPIV3Schema": object(map[string]any{"spec": spec, "status": object(map[string]any{"phase": text})})},
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "widgets.example.com"},
		"spec": map[string]any{
			"group": "example.com", "scope": "Namespaced", "names": map[string]any{"kind": "Widget", "plural": "widgets"},
			"versions": []any{version},
		},
	}}
}

func (w world) dynamic(ctx context.Context) error {
	if _, err := w.dyn.Resource(definitions).Create(ctx, definition(), metav1.CreateOptions{}); err != nil {
		return err
	}
	of := w.dyn.Resource(widgets).Namespace("default")
	served := func(ctx context.Context) (bool, error) {
		_, err := of.List(ctx, metav1.ListOptions{})
		return err == nil, nil
	}
	if err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, served); err != nil {
		return err
	}
	factory := dynamicinformer.NewDynamicSharedInformerFactory(w.dyn, 0)
	informer := factory.ForResource(widgets).Informer()
	events := make(told, 1000)
	if _, err := informer.AddEventHandler(events.handler()); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return fmt.Errorf("its informer has not synced")
	}
	widget := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": "w"}, "spec": map[string]any{"name": "x"},
	}}
	applied, err := of.Apply(ctx, "w", widget, metav1.ApplyOptions{FieldManager: "one"})
	if err != nil {
		return err
	}
	if size, _, _ := unstructured.NestedInt64(applied.Object, "spec", "size"); size != 1 {
		return fmt.Errorf("its default: %v", applied.Object)
	}
	if err := events.wait(ctx, "add default/w"); err != nil {
		return err
	}
	applied.Object["status"] = map[string]any{"phase": "Ready"}
	if _, err := of.UpdateStatus(ctx, applied, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if err := events.wait(ctx, "update default/w"); err != nil {
		return err
	}
	if err := w.dyn.Resource(definitions).Delete(ctx, "widgets.example.com", metav1.DeleteOptions{}); err != nil {
		return err
	}
	return events.wait(ctx, "delete default/w")
}

func (w world) metadata(ctx context.Context) error {
	maps := schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	factory := metadatainformer.NewSharedInformerFactory(w.meta, 0)
	informer := factory.ForResource(maps).Informer()
	events := make(told, 1000)
	if _, err := informer.AddEventHandler(events.handler()); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return fmt.Errorf("its informer has not synced")
	}
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "partial", Labels: map[string]string{"a": "b"}}}
	if _, err := w.typed.CoreV1().ConfigMaps("default").Create(ctx, object, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := events.wait(ctx, "add default/partial"); err != nil {
		return err
	}
	one, err := w.meta.Resource(maps).Namespace("default").Get(ctx, "partial", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if one.Labels["a"] != "b" {
		return fmt.Errorf("labels %v", one.Labels)
	}
	return w.meta.Resource(maps).Namespace("default").Delete(ctx, "partial", metav1.DeleteOptions{})
}
