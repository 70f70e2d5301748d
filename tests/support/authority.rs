//! A certificate authority for a test: a CA, the API server's certificate, its token key, clients.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    /// Writes `ca.crt`, `server.crt`, `server.key`, `sa.key` and `sa.pub` to the folder.
    pub fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "test authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = folder.to_owned();
        let authority = Self { issuer, folder };
        let write = |name: &str, text: &str| {
            std::fs::write(authority.folder.join(name), text).unwrap();
        };
        write("ca.crt", &authority.issuer.pem());
        let tokens = KeyPair::generate().unwrap();
        write("sa.key", &tokens.serialize_pem());
        write("sa.pub", &tokens.public_key_pem());
        authority.renew_server();
        authority
    }

    /// A new certificate for the API server.
    pub fn renew_server(&self) {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (certificate, key) = self.sign(params, "kube-apiserver", None);
        std::fs::write(self.folder.join("server.crt"), certificate).unwrap();
        std::fs::write(self.folder.join("server.key"), key).unwrap();
    }

    /// A client's certificate and key.
    pub fn client(&self, user: &str, group: Option<&str>) -> (String, String) {
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, user, group)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        name: &str,
        group: Option<&str>,
    ) -> (String, String) {
        params.distinguished_name.push(DnType::CommonName, name);
        if let Some(group) = group {
            params
                .distinguished_name
                .push(DnType::OrganizationName, group);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}
