// Package headlessdns starts a small Kubernetes cluster with its DNS for a test: the program headless-dns, on free ports, which ends with
// the test, and with the test's process however that ends.
package headlessdns

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// ended is how long a cluster may take to end before it is killed.
const ended = 10 * time.Second

// Options say what a cluster is made of. None is needed.
type Options struct {
	// Manifests are files, or folders of them, to apply before the cluster is ready; without any it is empty.
	Manifests []string
	// Arguments are further ones of `headless-dns sandbox`, such as `--start-delay=1s`, or `--run`.
	Arguments []string
	// Program is the program headless-dns; empty: what $HEADLESS_DNS names, or the one of $PATH.
	Program string
	// Output gets what the cluster says of itself; nil: nobody does. Errors go to standard error.
	Output io.Writer
}

// A Cluster that runs, and is ready.
type Cluster struct {
	// Kubeconfig is the path of a kubeconfig of one who may do everything.
	Kubeconfig string
	// API is the URL of its API server.
	API string
	// DNS is where its names are answered, over UDP and TCP.
	DNS netip.AddrPort
	// Names are those that its StatefulSets have.
	Names []string
	// Socks is where every name and address is reached, with the argument `--socks`.
	Socks string

	command *exec.Cmd
	// While this is open the cluster runs.
	alive io.Closer
	once  sync.Once
	err   error
}

// TB is what Start needs of *testing.T, *testing.B and *testing.F.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, arguments ...any)
}

// Start starts a cluster that ends with the test.
func Start(t TB, options Options) *Cluster {
	t.Helper()
	cluster, err := New(options)
	if err != nil {
		t.Fatalf("headless-dns: %v", err)
	}
	t.Cleanup(func() { cluster.Close() })
	return cluster
}

// New starts a cluster, and waits until it is ready. Close ends it.
func New(options Options) (*Cluster, error) {
	program, err := find(options.Program)
	if err != nil {
		return nil, err
	}
	manifests := options.Manifests
	if len(manifests) == 0 {
		manifests = []string{os.DevNull}
	}
	told, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer told.Close()
	arguments := []string{"sandbox", "--dns=127.0.0.1:0", "--api=127.0.0.1:0", "--ready-fd=3", "--end-fd=0"}
	arguments = append(append(arguments, options.Arguments...), manifests...)
	command := exec.Command(program, arguments...)
	command.ExtraFiles = []*os.File{write}
	command.Stdout, command.Stderr = options.Output, os.Stderr
	alive, err := command.StdinPipe()
	if err == nil {
		err = command.Start()
	}
	write.Close()
	if err != nil {
		return nil, err
	}
	cluster := &Cluster{command: command, alive: alive}
	if err := cluster.read(told); err != nil {
		return nil, errors.Join(err, cluster.Close())
	}
	return cluster, nil
}

// read takes in what the cluster says once it is ready.
func (c *Cluster) read(told io.Reader) error {
	var ready struct {
		Kubeconfig, API, Socks string
		DNS                    netip.AddrPort
		Names                  []string
	}
	if err := json.NewDecoder(told).Decode(&ready); err != nil {
		return fmt.Errorf("the cluster has ended before it was ready: %w", err)
	}
	c.Kubeconfig, c.API, c.DNS = ready.Kubeconfig, ready.API, ready.DNS
	c.Names, c.Socks = ready.Names, ready.Socks
	return nil
}

// Close ends the cluster, and waits until it has. It may be called again.
func (c *Cluster) Close() error {
	c.once.Do(func() {
		c.alive.Close()
		kill := time.AfterFunc(ended, func() { c.command.Process.Signal(syscall.SIGKILL) })
		defer kill.Stop()
		c.err = c.command.Wait()
	})
	return c.err
}

func find(program string) (string, error) {
	if program == "" {
		program = os.Getenv("HEADLESS_DNS")
	}
	if program == "" {
		program = "headless-dns"
	}
	found, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("%w: install headless-dns, or set HEADLESS_DNS to its path", err)
	}
	return found, nil
}
