package main

import (
	"fmt"
	"strings"
	"time"
)

// The parts of SPDX 2.3 that are used, as its JSON schema names them.
type (
	spdxDocument struct {
		Version       string             `json:"spdxVersion"`
		DataLicense   string             `json:"dataLicense"`
		ID            string             `json:"SPDXID"`
		Name          string             `json:"name"`
		Namespace     string             `json:"documentNamespace"`
		Creation      spdxCreation       `json:"creationInfo"`
		Packages      []spdxPackage      `json:"packages"`
		Relationships []spdxRelationship `json:"relationships"`
	}
	spdxCreation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		Name             string          `json:"name"`
		ID               string          `json:"SPDXID"`
		Version          string          `json:"versionInfo,omitempty"`
		Location         string          `json:"downloadLocation"`
		FilesAnalyzed    bool            `json:"filesAnalyzed"`
		Checksums        []spdxChecksum  `json:"checksums,omitempty"`
		LicenseConcluded string          `json:"licenseConcluded"`
		LicenseDeclared  string          `json:"licenseDeclared"`
		Copyright        string          `json:"copyrightText"`
		Comment          string          `json:"comment,omitempty"`
		References       []spdxReference `json:"externalRefs"`
	}
	spdxChecksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}
	spdxReference struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	spdxRelationship struct {
		Element string `json:"spdxElementId"`
		Type    string `json:"relationshipType"`
		Related string `json:"relatedSpdxElement"`
	}
)

const (
	noAssertion  = "NOASSERTION"
	spdxDocID    = "SPDXRef-DOCUMENT"
	spdxIDPrefix = "SPDXRef-"
)

// document describes a program, the first of its parts, and the others.
func document(parts []part, created time.Time) spdxDocument {
	program := parts[0]
	d := spdxDocument{
		Version: "SPDX-2.3", DataLicense: "CC0-1.0", ID: spdxDocID, Name: program.name,
		Namespace: "https://spdx.org/spdxdocs/" + program.name + "-" + program.sum,
		Creation: spdxCreation{
			Created: created.Format(time.RFC3339), Creators: []string{"Tool: qemu-ga-sbom"},
		},
		Relationships: []spdxRelationship{{spdxDocID, "DESCRIBES", spdxID(0)}},
	}
	for i, p := range parts {
		pkg := spdxPackage{
			Name: p.name, ID: spdxID(i), Version: p.version, Location: noAssertion,
			LicenseConcluded: p.licence, LicenseDeclared: p.licence, Copyright: noAssertion,
			References: []spdxReference{{"PACKAGE-MANAGER", "purl", p.purl}},
		}
		switch {
		case i == 0:
			pkg.Checksums = []spdxChecksum{{"SHA256", p.sum}}
		case strings.HasPrefix(p.sum, "h1:"):
			pkg.Comment = "go.sum: " + p.sum
		}
		if i > 0 {
			d.Relationships = append(d.Relationships, spdxRelationship{spdxID(0), "STATIC_LINK", spdxID(i)})
		}
		d.Packages = append(d.Packages, pkg)
	}
	return d
}

func spdxID(i int) string { return fmt.Sprintf("%spart-%d", spdxIDPrefix, i) }
