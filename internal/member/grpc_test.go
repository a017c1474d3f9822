package member

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	health_pb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"tandem/internal/config"
)

// TestGRPC has a real client talk to a real server behind a site's reverse_proxy, through an edge: one answer, a stream of them, and an
// error, all of which end with trailers.
func TestGRPC(t *testing.T) {
	app, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	state, srv := health.NewServer(), grpc.NewServer()
	health_pb.RegisterHealthServer(srv, state)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = srv.Serve(app)
	}()
	t.Cleanup(func() {
		srv.Stop()
		<-ended
	})
	state.SetServingStatus("shop", health_pb.HealthCheckResponse_SERVING)

	s, https := first(t, "web1"), freeAddress(t)
	roots := s.certify("app.test")
	site := "https://app.test:" + https[strings.LastIndexByte(https, ':')+1:] + " {\n\tbind 127.0.0.1\n\treverse_proxy h2c://" + app.Addr().String() + " {\n\t\tflush_interval -1\n\t}\n}\n"
	if err := os.WriteFile(filepath.Join(s.paths.Config, "sites", "app.caddy"), []byte(site), 0o644); err != nil {
		t.Fatal(err)
	}
	s.edit(config.FarmFile, func(src string) string {
		return strings.Replace(src, `roles = ["node"]`, `roles = ["node", "edge"]`, 1) + "\n[edge]\nhttp = []\nhttps = \"" + https + "\"\n"
	})
	conn, err := grpc.NewClient("passthrough:///app.test", grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: "app.test"})),
		grpc.WithAuthority("app.test"), grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", https)
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := health_pb.NewHealthClient(conn)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	eventually(t, "a call is answered", func() bool {
		got, err := client.Check(ctx, &health_pb.HealthCheckRequest{Service: "shop"})
		if err != nil {
			t.Log(err)
		}
		return err == nil && got.Status == health_pb.HealthCheckResponse_SERVING
	})
	if _, err := client.Check(ctx, &health_pb.HealthCheckRequest{Service: "none"}); status.Code(err) != codes.NotFound {
		t.Errorf("an error arrives as %v", err)
	}
	watch, err := client.Watch(ctx, &health_pb.HealthCheckRequest{Service: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []health_pb.HealthCheckResponse_ServingStatus{health_pb.HealthCheckResponse_SERVING, health_pb.HealthCheckResponse_NOT_SERVING, health_pb.HealthCheckResponse_SERVING} {
		state.SetServingStatus("shop", want)
		for {
			got, err := watch.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if got.Status == want {
				break
			}
		}
	}
}

// certify puts a certificate for the host into the store.
func (s *server) certify(host string) *x509.CertPool {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	dir := filepath.Join(s.paths.Config, "certs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, host+".pem"), both, 0o600); err != nil {
		s.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Fatal(err)
	}
	roots.AddCert(cert)
	return roots
}
