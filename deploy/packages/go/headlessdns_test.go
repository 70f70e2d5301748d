package headlessdns_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	headlessdns "github.com/headless-dns/headless-dns/deploy/packages/go"
)

const set = `{"kind": "List", "apiVersion": "v1", "items": [
  {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"}, "spec": {"clusterIP": "None", "selector": {"app": "db"}}},
  {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {"serviceName": "db", "replicas": 2,
    "selector": {"matchLabels": {"app": "db"}}, "template": {"metadata": {"labels": {"app": "db"}},
      "spec": {"containers": [{"name": "db", "image": "db"}]}}}}]}`

func TestPodsOfASetHaveTheirNames(t *testing.T) {
	manifest := filepath.Join(t.TempDir(), "db.yaml")
	if err := os.WriteFile(manifest, []byte(set), 0o600); err != nil {
		t.Fatal(err)
	}
	cluster := headlessdns.Start(t, headlessdns.Options{Manifests: []string{manifest}})
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, cluster.DNS.String())
	}}
	for at := range 2 {
		name := fmt.Sprintf("db-%d.db.default.svc.cluster.local.", at)
		addresses, err := resolver.LookupHost(context.Background(), name)
		if err != nil || len(addresses) != 1 {
			t.Errorf("%s: %v, %v", name, addresses, err)
		}
	}
	if len(cluster.Names) != 2 || !strings.HasPrefix(cluster.API, "https://127.0.0.1:") {
		t.Errorf("%v, %s", cluster.Names, cluster.API)
	}
	if _, err := os.Stat(cluster.Kubeconfig); err != nil {
		t.Error(err)
	}
	if err := cluster.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(cluster.Kubeconfig); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the kubeconfig has stayed: %v", err)
	}
}

func TestAClusterEndsWithAProcessThatIsKilled(t *testing.T) {
	if os.Getenv("ONLY_A_CLUSTER") != "" {
		fmt.Println(headlessdns.Start(t, headlessdns.Options{}).API)
		select {}
	}
	killed := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	killed.Env = append(os.Environ(), "ONLY_A_CLUSTER=1")
	out, err := killed.StdoutPipe()
	if err == nil {
		err = killed.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var api string
	if _, err := fmt.Fscanln(out, &api); err != nil {
		t.Fatal(err)
	}
	killed.Process.Signal(syscall.SIGKILL)
	killed.Wait()
	end := time.Now().Add(30 * time.Second)
	for {
		stream, err := net.Dial("tcp", strings.TrimPrefix(api, "https://"))
		if err != nil {
			return
		}
		stream.Close()
		if time.Now().After(end) {
			t.Fatal("the cluster has stayed")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestAProgramThatIsNotThereIsNamed(t *testing.T) {
	_, err := headlessdns.New(headlessdns.Options{Program: "/nowhere/headless-dns"})
	if err == nil || !strings.Contains(err.Error(), "/nowhere/headless-dns") {
		t.Errorf("%v", err)
	}
	_, err = headlessdns.New(headlessdns.Options{Manifests: []string{"/nowhere/db.yaml"}})
	if err == nil || !strings.Contains(err.Error(), "ended before it was ready") {
		t.Errorf("%v", err)
	}
}
