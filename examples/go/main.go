// Runs a redis set in a sandbox, and asks it by name.
//
//	apt-get install redis-server
//	cd examples/go && go run . [PROGRAM]
//
// Nothing but this file and the program headless-dns is needed.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const image = "redis:6.2=redis-server --dir /data --protected-mode no"

// What a sandbox says of itself once it is ready.
type ready struct {
	Socks string   `json:"socks"`
	Names []string `json:"names"`
}

func start(program string) (*exec.Cmd, ready, error) {
	var told ready
	read, write, err := os.Pipe()
	if err != nil {
		return nil, told, err
	}
	defer read.Close()
	sandbox := exec.Command(program, "sandbox", "--run", "--image", image, "--dns", "127.0.0.1:0",
		"--socks", "127.0.0.1:0", "--ready-fd", "3")
	sandbox.Stderr = os.Stderr
	sandbox.ExtraFiles = []*os.File{write}
	err = sandbox.Start()
	write.Close()
	if err == nil {
		err = json.NewDecoder(read).Decode(&told)
	}
	return sandbox, told, err
}

var errRefused = errors.New("nobody listens")

// What the redis of that name answers; a Pod without a readiness probe is ready before its program listens.
func ask(socks, name, command string) (answer string, err error) {
	for tries := 0; tries < 200; tries++ {
		answer, err = tryToAsk(socks, name, command)
		if !errors.Is(err, errRefused) {
			return answer, err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "", fmt.Errorf("%s: %w", name, err)
}

// One try (RFC 1928 for the way there).
func tryToAsk(socks, name, command string) (string, error) {
	stream, err := net.Dial("tcp", socks)
	if err != nil {
		return "", err
	}
	defer stream.Close()
	request := append([]byte{5, 1, 0, 5, 1, 0, 3, byte(len(name))}, name...)
	request = append(request, 6379>>8, 6379&255)
	if _, err = stream.Write(append(request, command+"\r\nQUIT\r\n"...)); err != nil {
		return "", err
	}
	heard, err := io.ReadAll(stream)
	if err != nil {
		return "", err
	}
	if len(heard) > 3 && heard[3] == 5 {
		return "", errRefused
	}
	if len(heard) < 12 || heard[3] != 0 {
		return "", fmt.Errorf("%s cannot be reached", name)
	}
	return strings.TrimSuffix(string(heard[12:]), "+OK\r\n"), nil
}

func run(told ready) error {
	for _, name := range told.Names {
		if _, err := ask(told.Socks, name, "SET name "+name); err != nil {
			return err
		}
	}
	for _, name := range told.Names {
		answer, err := ask(told.Socks, name, "GET name")
		if err != nil {
			return err
		}
		if !strings.Contains(answer, name) {
			return fmt.Errorf("%s answers %q", name, answer)
		}
		fmt.Println(name, "answers")
	}
	return nil
}

func main() {
	program := "headless-dns"
	if len(os.Args) > 1 {
		program = os.Args[1]
	}
	sandbox, told, err := start(program)
	if err == nil {
		err = run(told)
		sandbox.Process.Signal(syscall.SIGTERM)
		sandbox.Wait()
	}
	if err != nil {
		log.Fatal(err)
	}
}
