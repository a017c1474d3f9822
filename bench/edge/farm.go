package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const host = "bench.test"

// nodes are where the nodes of a demo farm serve their sites.
var nodes = []string{"127.0.0.11:8080", "127.0.0.12:8080"}

// server is one that visitors come to.
type server struct {
	name        string
	http, https string // addresses
	pids        func() []int
	stop        func() // nil: the farm stops it
}

// demoFarm is a running `tandem demo`.
type demoFarm struct {
	edge *server
	stop func()
}

// site serves the files under test. It says nothing of consistency: what is measured is the way there.
const site = `http://bench.test:8080, https://bench.test:8443 {
	bind 127.0.0.11 127.0.0.12
	root %s
	file_server
}
`

func startFarm(ctx context.Context, program, dir string) (*demoFarm, error) {
	cmd := exec.CommandContext(ctx, program, "demo", "--json", "--dir", dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop := func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	var ready struct {
		Members []struct {
			Name, Config, Folder string
			PID                  int
		}
	}
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &ready) != nil || len(ready.Members) != 3 {
		stop()
		return nil, fmt.Errorf("the demo did not say that it is ready")
	}
	go func() {
		for lines.Scan() { // its events
		}
	}()
	web1, edge1 := ready.Members[0], ready.Members[2]
	if err := fill(web1.Config, web1.Folder); err != nil {
		stop()
		return nil, err
	}
	pin(edge1.PID, true)
	for _, m := range ready.Members[:2] {
		pin(m.PID, false)
	}
	edge := &server{name: "tandem", http: "127.0.0.20:8080", https: "127.0.0.20:8443", pids: func() []int { return []int{edge1.PID} }}
	return &demoFarm{edge, stop}, awaitAll(edge)
}

// fill gives the farm the site, its certificate and its files.
func fill(config, folder string) error {
	cert, err := certificate()
	if err != nil {
		return err
	}
	root := filepath.Join(folder, "bench")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	files := map[string]string{
		filepath.Join(root, "1k"):                       strings.Repeat("a", 1<<10),
		filepath.Join(root, "10k"):                      strings.Repeat("a", 10<<10),
		filepath.Join(root, "100k"):                     strings.Repeat("a", 100<<10),
		filepath.Join(config, "certs", host+".pem"):     cert,
		filepath.Join(config, "sites", "bench.caddy"):   fmt.Sprintf(site, "{folder.gallery}/bench"),
		filepath.Join(filepath.Dir(config), "cert.pem"): cert,
	}
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// certificate is a certificate and its key for the site.
func certificate() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return "", err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), nil
}

// pin puts a process on the core of what is measured, or on the others.
func pin(pid int, measured bool) {
	cores := "1-1023"
	if measured {
		cores = "0"
	}
	if out, err := exec.Command("taskset", "-a", "-p", "-c", cores, fmt.Sprint(pid)).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "pin %d: %v: %s", pid, err, out)
	}
}
