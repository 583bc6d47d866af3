// Package ova packs a virtual machine for VMware: an OVF 1.1 descriptor (DMTF DSP0243), a manifest with hashes and the
// disk, in one tar file.
//
// The order in the archive is the specification's and lets an importer work on the stream: descriptor, manifest, disk.
// Names, owners and times are fixed, so that the same machine and disk give the same bytes.
package ova

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"strings"
	"text/template"
	"time"
)

// Machine is what the descriptor says.
type Machine struct {
	// Name of the machine and of the files in the archive.
	Name string
	// Product and Version are shown when the package is imported.
	Product string
	Vendor  string
	Version string
	CPUs    int
	// MemoryMiB is the memory in MiB.
	MemoryMiB int
	// Networks are the networks that the importing administrator maps, one network adapter each, in PCI order.
	Networks []Network
	// Capacity of the disk in bytes and the part of it that the disk file fills.
	Capacity  int64
	Populated int64
	// DiskFile is the stream-optimized disk on this machine.
	DiskFile string
	// Modified is the time stamp of the files in the archive.
	Modified time.Time
}

// Network is one network of the package.
type Network struct {
	Name        string
	Description string
}

// DiskName returns the disk's file name in the archive.
func (m Machine) DiskName() string { return m.Name + "-disk1.vmdk" }

// Write writes the archive.
func Write(w io.Writer, m Machine) error {
	disk, err := os.Open(m.DiskFile)
	if err != nil {
		return fmt.Errorf("write ova: %w", err)
	}
	defer disk.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, disk)
	if err != nil {
		return fmt.Errorf("write ova: hash disk: %w", err)
	}
	if _, err := disk.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("write ova: rewind disk: %w", err)
	}
	descriptor, err := descriptor(m, size)
	if err != nil {
		return fmt.Errorf("write ova: %w", err)
	}
	sum := sha256.Sum256(descriptor)
	manifest := fmt.Sprintf("SHA256(%s)= %s\nSHA256(%s)= %s\n",
		m.Name+".ovf", hex.EncodeToString(sum[:]), m.DiskName(), hex.EncodeToString(hash.Sum(nil)))

	archive := tar.NewWriter(w)
	for _, f := range []struct {
		name string
		size int64
		data io.Reader
	}{
		{m.Name + ".ovf", int64(len(descriptor)), bytes.NewReader(descriptor)},
		{m.Name + ".mf", int64(len(manifest)), strings.NewReader(manifest)},
		{m.DiskName(), size, disk},
	} {
		// Importers know the plain ustar format only.
		h := &tar.Header{Name: f.name, Mode: 0o644, Size: f.size, ModTime: m.Modified.Truncate(time.Second), Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(h); err != nil {
			return fmt.Errorf("write ova: %s: %w", f.name, err)
		}
		if _, err := io.Copy(archive, f.data); err != nil {
			return fmt.Errorf("write ova: %s: %w", f.name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("write ova: %w", err)
	}
	return nil
}

func descriptor(m Machine, diskSize int64) ([]byte, error) {
	if len(m.Networks) > 4 || m.CPUs < 1 || m.MemoryMiB < 1 {
		return nil, fmt.Errorf("describe machine: %d networks, %d processors and %d MiB", len(m.Networks), m.CPUs, m.MemoryMiB)
	}
	var b bytes.Buffer
	if err := envelope.Execute(&b, struct {
		Machine
		DiskSize int64
	}{m, diskSize}); err != nil {
		return nil, fmt.Errorf("describe machine: %w", err)
	}
	return b.Bytes(), nil
}

func escape(s string) (string, error) {
	var b strings.Builder
	err := xml.EscapeText(&b, []byte(s))
	return b.String(), err
}

// envelope is the descriptor. Choices that are not plain:
//   - vmx-13 is ESXi 6.5, the oldest hardware version with dependable UEFI and PVSCSI together.
//   - firmware "efi" without Secure Boot: the images are not signed for it.
//   - VirtualSCSI is the paravirtual controller (PVSCSI).
//   - The adapters' AddressOnParent 7–10 makes ESXi hand out PCI slots in that order: a, b, c, d.
//   - The serial port has no backing: whoever wants the serial console chooses a file, a pipe or a network address.
//   - memory and processors cannot be added while running; media workers are pinned at start.
var envelope = template.Must(template.New("ovf").Funcs(template.FuncMap{
	"xml": escape,
	"add": func(a, b int) int { return a + b },
}).Parse(`<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <References>
    <File ovf:href="{{xml .DiskName}}" ovf:id="disk-file" ovf:size="{{.DiskSize}}"/>
  </References>
  <DiskSection>
    <Info>Virtual disks</Info>
    <Disk ovf:capacity="{{.Capacity}}" ovf:capacityAllocationUnits="byte" ovf:diskId="disk1" ovf:fileRef="disk-file" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized" ovf:populatedSize="{{.Populated}}"/>
  </DiskSection>
  <NetworkSection>
    <Info>Networks of the interfaces</Info>
{{- range .Networks}}
    <Network ovf:name="{{xml .Name}}">
      <Description>{{xml .Description}}</Description>
    </Network>
{{- end}}
  </NetworkSection>
  <VirtualSystem ovf:id="{{xml .Name}}">
    <Info>A virtual machine</Info>
    <Name>{{xml .Name}}</Name>
    <OperatingSystemSection ovf:id="100" vmw:osType="other4xLinux64Guest">
      <Info>The guest operating system</Info>
      <Description>Other 4.x or later Linux (64-bit)</Description>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>Virtual hardware</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>{{xml .Name}}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits>
        <rasd:Description>Number of virtual CPUs</rasd:Description>
        <rasd:ElementName>{{.CPUs}} virtual CPUs</rasd:ElementName>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>{{.CPUs}}</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
        <rasd:Description>Memory size</rasd:Description>
        <rasd:ElementName>{{.MemoryMiB}} MB of memory</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>{{.MemoryMiB}}</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:Description>SCSI controller</rasd:Description>
        <rasd:ElementName>SCSI controller 0</rasd:ElementName>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType>
        <rasd:ResourceType>6</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:ElementName>Hard disk 1</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/disk1</rasd:HostResource>
        <rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
{{- range $i, $n := .Networks}}
      <Item>
        <rasd:AddressOnParent>{{add $i 7}}</rasd:AddressOnParent>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>{{xml $n.Name}}</rasd:Connection>
        <rasd:Description>VmxNet3 ethernet adapter on {{xml $n.Name}}</rasd:Description>
        <rasd:ElementName>Network adapter {{add $i 1}}</rasd:ElementName>
        <rasd:InstanceID>{{add $i 5}}</rasd:InstanceID>
        <rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
      </Item>
{{- end}}
      <Item ovf:required="false">
        <rasd:AutomaticAllocation>false</rasd:AutomaticAllocation>
        <rasd:ElementName>Serial port 1</rasd:ElementName>
        <rasd:InstanceID>9</rasd:InstanceID>
        <rasd:ResourceSubType>vmware.serialport.device</rasd:ResourceSubType>
        <rasd:ResourceType>21</rasd:ResourceType>
        <vmw:Config ovf:required="false" vmw:key="yieldOnPoll" vmw:value="true"/>
      </Item>
      <Item ovf:required="false">
        <rasd:AutomaticAllocation>false</rasd:AutomaticAllocation>
        <rasd:ElementName>Video card</rasd:ElementName>
        <rasd:InstanceID>10</rasd:InstanceID>
        <rasd:ResourceType>24</rasd:ResourceType>
      </Item>
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
      <vmw:Config ovf:required="false" vmw:key="bootOptions.efiSecureBootEnabled" vmw:value="false"/>
      <vmw:Config ovf:required="false" vmw:key="cpuHotAddEnabled" vmw:value="false"/>
      <vmw:Config ovf:required="false" vmw:key="memoryHotAddEnabled" vmw:value="false"/>
      <vmw:Config ovf:required="false" vmw:key="tools.syncTimeWithHost" vmw:value="false"/>
    </VirtualHardwareSection>
    <ProductSection>
      <Info>Product</Info>
      <Product>{{xml .Product}}</Product>
      <Vendor>{{xml .Vendor}}</Vendor>
      <Version>{{xml .Version}}</Version>
    </ProductSection>
  </VirtualSystem>
</Envelope>
`))
