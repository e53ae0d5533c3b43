/**
 * The few fields of Kubernetes objects that are looked at, as the API server sends them: anything
 * may be missing, and whatever is not named here is passed on untouched.
 */

export interface ObjectMeta {
  name?: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  labels?: Record<string, string> | null;
  annotations?: Record<string, string> | null;
}

export interface VolumeMount {
  name: string;
  mountPath: string;
  readOnly?: boolean;
  subPath?: string;
}

export interface Volume {
  name: string;
  hostPath?: { path: string; type?: string };
}

/** As much of it as is looked at: quantities as text, `100m`. */
export interface Resources {
  requests?: { cpu?: string } | null;
  limits?: { cpu?: string } | null;
}

export interface Container {
  name: string;
  resources?: Resources | null;
  volumeMounts?: VolumeMount[] | null;
}

export interface PodSpec {
  containers?: Container[] | null;
  initContainers?: Container[] | null;
  ephemeralContainers?: Container[] | null;
  volumes?: Volume[] | null;
  /** Of the pod as a whole. */
  resources?: Resources | null;
  hostPID?: boolean;
  hostUsers?: boolean;
  runtimeClassName?: string;
  nodeSelector?: Record<string, string> | null;
  os?: { name?: string };
}

export interface Pod {
  metadata?: ObjectMeta;
  spec?: PodSpec;
}

export interface GroupVersionKind {
  group: string;
  version: string;
  kind: string;
}

/** `request` of an admission.k8s.io/v1 AdmissionReview. */
export interface AdmissionRequest {
  uid: string;
  kind: GroupVersionKind;
  subResource?: string;
  operation: string;
  namespace?: string;
  object?: Pod | null;
  oldObject?: Pod | null;
}

/** `response` of an admission.k8s.io/v1 AdmissionReview. */
export interface AdmissionResponse {
  uid: string;
  allowed: boolean;
  patchType?: "JSONPatch";
  /** Base64 of the JSON text of the patch. */
  patch?: string;
  warnings?: string[];
  auditAnnotations?: Record<string, string>;
}
