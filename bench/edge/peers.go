package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const nginxConf = `
daemon off; worker_processes 1; pid %[1]s/nginx.pid; error_log stderr;
events { worker_connections 1024; }
http {
	access_log %[1]s/nginx.log combined;
	client_body_temp_path %[1]s/t1; proxy_temp_path %[1]s/t2; fastcgi_temp_path %[1]s/t3; uwsgi_temp_path %[1]s/t4; scgi_temp_path %[1]s/t5;
	keepalive_requests 1000000000;
	upstream nodes { server %[2]s; server %[3]s; keepalive 64; keepalive_requests 1000000000; }
	server {
		listen 127.0.0.31:8080;
		listen 127.0.0.31:8443 ssl http2;
		ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/cert.pem;
		location / {
			proxy_pass http://nodes; proxy_http_version 1.1; proxy_set_header Connection "";
			proxy_set_header Host bench.test:8080; proxy_set_header X-Forwarded-For $remote_addr;
		}
	}
}
`

const haproxyConf = `
global
	nbthread 1
	log stdout format raw local0
	ssl-default-bind-options no-tls-tickets
defaults
	mode http
	log global
	option httplog
	option forwardfor
	http-reuse always
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend f
	bind 127.0.0.32:8080
	bind 127.0.0.32:8443 ssl crt %[1]s/cert.pem alpn h2,http/1.1
	http-request set-header Host bench.test:8080
	default_backend nodes
backend nodes
	balance roundrobin
	server web1 %[2]s check
	server web2 %[3]s check
`

const caddyConf = `
{
	admin off
	persist_config off
	auto_https off
	storage file_system %[1]s/caddystore
}
(way) {
	log {
		output file %[1]s/caddy.log
	}
	reverse_proxy %[2]s %[3]s {
		header_up Host bench.test:8080
	}
}
http://bench.test:8080 {
	bind 127.0.0.33
	import way
}
https://bench.test:8443 {
	bind 127.0.0.33
	tls %[1]s/cert.pem %[1]s/cert.pem
	import way
}
`

// startPeers starts those that are installed.
func startPeers(dir, caddy string) ([]*server, error) {
	cert, err := certificate()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), []byte(cert), 0o600); err != nil {
		return nil, err
	}
	var all []*server
	for _, p := range []struct {
		name, ip, conf string
		command        func(conf string) []string
	}{
		{"nginx", "127.0.0.31", nginxConf, func(f string) []string { return []string{"nginx", "-c", f, "-p", dir} }},
		{"haproxy", "127.0.0.32", haproxyConf, func(f string) []string { return []string{"haproxy", "-db", "-f", f} }},
		{"caddy", "127.0.0.33", caddyConf, func(f string) []string { return []string{caddy, "run", "--adapter", "caddyfile", "--config", f} }},
	} {
		conf := filepath.Join(dir, p.name+".conf")
		if err := os.WriteFile(conf, fmt.Appendf(nil, p.conf, dir, nodes[0], nodes[1]), 0o600); err != nil {
			return all, err
		}
		args := p.command(conf)
		if _, err := exec.LookPath(args[0]); err != nil {
			fmt.Fprintln(os.Stderr, p.name, "is not there:", err)
			continue
		}
		s, err := startPeer(dir, p.name, args)
		if err != nil {
			return all, err
		}
		s.http, s.https = p.ip+":8080", p.ip+":8443"
		all = append(all, s)
		if err := awaitAll(s); err != nil {
			return all, err
		}
	}
	return all, nil
}

func startPeer(dir, name string, args []string) (*server, error) {
	out, err := os.Create(filepath.Join(dir, name+".out"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command("taskset", append([]string{"-c", "0"}, args...)...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &server{name: name, pids: func() []int { return family(cmd.Process.Pid) }, stop: func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(3*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
	}}, nil
}

// family is a process and its children.
func family(pid int) []int {
	all := []int{pid}
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, f := range strings.Fields(string(b)) {
		var child int
		if _, err := fmt.Sscan(f, &child); err == nil {
			all = append(all, family(child)...)
		}
	}
	return all
}
