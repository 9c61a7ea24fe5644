package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// writeKeys makes what a cluster proves itself with, for a day: an authority, the API server's certificate, which names
// its address, the certificate it calls kubelets with, and the key that signs the tokens of service accounts. Whoever
// calls the API server proves himself by a token instead.
func writeKeys(directory, address string) error {
	authorityKey, err := newKey(directory, "authority.key")
	if err != nil {
		return err
	}
	authority := certificate("pfrun test authority")
	authority.IsCA = true
	authority.BasicConstraintsValid = true
	authority.KeyUsage = x509.KeyUsageCertSign
	if err := writeCertificate(directory, "authority.crt", authority, authority, authorityKey, authorityKey); err != nil {
		return err
	}
	serverKey, err := newKey(directory, "server.key")
	if err != nil {
		return err
	}
	server := certificate("kube-apiserver")
	server.KeyUsage = x509.KeyUsageDigitalSignature
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	server.DNSNames = []string{"localhost", "kubernetes.default.svc"}
	server.IPAddresses = []net.IP{net.ParseIP(address)}
	if err := writeCertificate(directory, "server.crt", server, authority, serverKey, authorityKey); err != nil {
		return err
	}
	callerKey, err := newKey(directory, "caller.key")
	if err != nil {
		return err
	}
	caller := certificate("kube-apiserver")
	caller.KeyUsage = x509.KeyUsageDigitalSignature
	caller.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if err := writeCertificate(directory, "caller.crt", caller, authority, callerKey, authorityKey); err != nil {
		return err
	}
	_, err = newKey(directory, "accounts.key")
	return err
}

func certificate(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Minute),
		NotAfter:     now.AddDate(0, 0, 1),
	}
}

func newKey(directory, name string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePem(directory, name, "EC PRIVATE KEY", encoded)
}

func writeCertificate(directory, name string, made, issuer *x509.Certificate, key, issuerKey crypto.Signer) error {
	encoded, err := x509.CreateCertificate(rand.Reader, made, issuer, key.Public(), issuerKey)
	if err != nil {
		return err
	}
	return writePem(directory, name, "CERTIFICATE", encoded)
}

func writePem(directory, name, kind string, content []byte) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
	return os.WriteFile(filepath.Join(directory, name), text, 0o600)
}
