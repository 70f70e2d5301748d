package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

func (w world) pod(ctx context.Context) error {
	pods := w.typed.CoreV1().Pods("default")
	grace := int64(0)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "runs"},
		Spec:       corev1.PodSpec{TerminationGracePeriodSeconds: &grace, Containers: []corev1.Container{{Name: "c", Image: "x"}}},
	}
	if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return err
	}
	ready := func(ctx context.Context) (bool, error) {
		found, err := pods.Get(ctx, "runs", metav1.GetOptions{})
		return err == nil && found.Status.Phase == corev1.PodRunning && found.Status.PodIP != "", err
	}
	if err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, ready); err != nil {
		return err
	}
	if _, err := pods.GetLogs("runs", &corev1.PodLogOptions{}).DoRaw(ctx); err != nil {
		return err
	}
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "runs"}}
	if err := pods.EvictV1(ctx, eviction); err != nil {
		return err
	}
	gone := func(ctx context.Context) (bool, error) {
		_, err := pods.Get(ctx, "runs", metav1.GetOptions{})
		return errors.IsNotFound(err), nil
	}
	return wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, gone)
}
