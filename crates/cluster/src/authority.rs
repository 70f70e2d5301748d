//! A certificate authority that lives as long as the cluster: who it has signed may come in.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};

/// What can go wrong with certificates that are made from nothing: the system has no randomness.
pub type Error = rcgen::Error;

/// The authority, with its key.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key (PKCS #8).
    pub key: String,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn new() -> Result<Self, Error> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "headless-dns cluster");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self(issuer))
    }

    /// Its certificate, as PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// An API server at these addresses, at `localhost`, and at the names that Pods know it by.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn server(&self, addresses: &[IpAddr]) -> Result<Identity, Error> {
        let known = [
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ];
        let mut names = known.map(str::to_owned).to_vec();
        names.extend(addresses.iter().map(IpAddr::to_string));
        let params = CertificateParams::new(names)?;
        self.sign(
            params,
            ExtendedKeyUsagePurpose::ServerAuth,
            "kube-apiserver",
            None,
        )
    }

    /// A client: as Kubernetes reads certificates, the common name is the user and the organization a group.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn client(&self, user: &str, group: Option<&str>) -> Result<Identity, Error> {
        let params = CertificateParams::default();
        self.sign(params, ExtendedKeyUsagePurpose::ClientAuth, user, group)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        purpose: ExtendedKeyUsagePurpose,
        name: &str,
        group: Option<&str>,
    ) -> Result<Identity, Error> {
        params.extended_key_usages = vec![purpose];
        params.distinguished_name.push(DnType::CommonName, name);
        if let Some(group) = group {
            let distinguished_name = &mut params.distinguished_name;
            distinguished_name.push(DnType::OrganizationName, group);
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}
