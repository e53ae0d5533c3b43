/**
 * Makes X.509 certificates (RFC 5280): a self-signed CA and serving certificates below it, keys
 * on P-256, signatures ECDSA with SHA-256. `node:crypto` reads certificates but cannot make them;
 * the ASN.1 structures come from @peculiar/asn1-x509, the keys and signatures from `node:crypto`.
 */
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { X509Certificate } from "node:crypto";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from "@peculiar/asn1-x509";

const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";
const COMMON_NAME = "2.5.4.3";

/** A certificate and its private key, both PEM text. */
export interface KeyedCertificate {
  cert: string;
  key: string;
}

/** From when to when a certificate is valid, milliseconds since the epoch. */
export interface Lifetime {
  fromMs: number;
  untilMs: number;
}

/**
 * A CA of its own. Its name carries a random part: two CAs in one bundle must not share a name, or
 * a verifier may try the wrong one.
 */
export function makeCa(lifetime: Lifetime): KeyedCertificate {
  const { publicKey, key } = newKey();
  const name = commonName(`lxcfs-webhook-ca-${randomBytes(4).toString("hex")}`);
  const id = keyId(publicKey);
  const extensions = [
    extension(
      id_ce_basicConstraints,
      true,
      new BasicConstraints({ cA: true, pathLenConstraint: 0 }),
    ),
    extension(
      id_ce_keyUsage,
      true,
      new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign),
    ),
    extension(id_ce_subjectKeyIdentifier, false, new SubjectKeyIdentifier(id)),
  ];
  return { cert: seal({ name, issuer: name, publicKey, lifetime, extensions }, key), key };
}

/** A certificate for a server known by `dnsNames`, signed by `ca`. */
export function makeServing(
  ca: KeyedCertificate,
  dnsNames: readonly string[],
  lifetime: Lifetime,
): KeyedCertificate {
  const { publicKey, key } = newKey();
  const issuer = parseCertificate(ca.cert).tbsCertificate;
  const names = dnsNames.map((dNSName) => new GeneralName({ dNSName }));
  const issuerId = new KeyIdentifier(keyId(AsnConvert.serialize(issuer.subjectPublicKeyInfo)));
  const extensions = [
    extension(id_ce_basicConstraints, true, new BasicConstraints({ cA: false })),
    extension(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags.digitalSignature)),
    extension(id_ce_extKeyUsage, false, new ExtendedKeyUsage([id_kp_serverAuth])),
    extension(id_ce_subjectAltName, false, new SubjectAlternativeName(names)),
    extension(
      id_ce_authorityKeyIdentifier,
      false,
      new AuthorityKeyIdentifier({ keyIdentifier: issuerId }),
    ),
  ];
  // A common name may have 64 characters at most; the names that count are the alternative ones.
  const name = commonName((dnsNames[0] ?? "").slice(0, 64));
  const to = { name, issuer: issuer.subject, publicKey, lifetime, extensions };
  return { cert: seal(to, ca.key), key };
}

/** From when to when the first certificate of a PEM text is valid. @throws if there is none */
export function lifetimeOf(pem: string): Lifetime {
  const certificate = new X509Certificate(pem);
  return {
    fromMs: Date.parse(certificate.validFrom),
    untilMs: Date.parse(certificate.validTo),
  };
}

/** Whether `leaf` was signed by `ca`, covers all of `dnsNames`, and `key` is its key. */
export function isServingFor(
  leaf: KeyedCertificate,
  caPem: string,
  dnsNames: readonly string[],
): boolean {
  try {
    const certificate = new X509Certificate(leaf.cert);
    const ca = new X509Certificate(caPem);
    return (
      certificate.checkIssued(ca) &&
      certificate.verify(ca.publicKey) &&
      certificate.checkPrivateKey(createPrivateKey(leaf.key)) &&
      dnsNames.every((name) => certificate.checkHost(name) !== undefined)
    );
  } catch {
    return false;
  }
}

interface Contents {
  name: Name;
  issuer: Name;
  publicKey: ArrayBuffer;
  lifetime: Lifetime;
  extensions: Extension[];
}

function seal(contents: Contents, issuerKey: string): string {
  const algorithm = new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 });
  // Twenty octets at most, and positive: the first bit is clear.
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: bytes(serial),
    signature: algorithm,
    issuer: contents.issuer,
    subject: contents.name,
    validity: new Validity({
      notBefore: wholeSeconds(contents.lifetime.fromMs),
      notAfter: wholeSeconds(contents.lifetime.untilMs),
    }),
    subjectPublicKeyInfo: AsnConvert.parse(contents.publicKey, SubjectPublicKeyInfo),
    extensions: new Extensions(contents.extensions),
  });
  const signature = sign("sha256", Buffer.from(AsnConvert.serialize(tbsCertificate)), issuerKey);
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    signatureValue: bytes(signature),
  });
  return pem(AsnConvert.serialize(certificate));
}

function newKey(): { publicKey: ArrayBuffer; key: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  return { publicKey: bytes(publicKey), key: privateKey };
}

function extension(extnID: string, critical: boolean, value: object): Extension {
  const extnValue = new OctetString(AsnConvert.serialize(value));
  return new Extension({ extnID, critical, extnValue });
}

/** RFC 5280 4.2.1.2, method 1, over the whole key structure: any fixed digest will do. */
function keyId(publicKey: ArrayBuffer): ArrayBuffer {
  return bytes(createHash("sha1").update(Buffer.from(publicKey)).digest());
}

function commonName(text: string): Name {
  const value = new AttributeValue({ utf8String: text });
  const attribute = new AttributeTypeAndValue({ type: COMMON_NAME, value });
  return new Name([new RelativeDistinguishedName([attribute])]);
}

function wholeSeconds(atMs: number): Date {
  return new Date(Math.floor(atMs / 1000) * 1000);
}

function parseCertificate(text: string): Certificate {
  return AsnConvert.parse(bytes(new X509Certificate(text).raw), Certificate);
}

function pem(der: ArrayBuffer): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** A copy in a buffer of its own: small Buffers share one. */
function bytes(buffer: Uint8Array): ArrayBuffer {
  return new Uint8Array(buffer).buffer;
}
