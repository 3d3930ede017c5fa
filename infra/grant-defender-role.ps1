<#
.SYNOPSIS
Gives the app's identity the right to create alerts in Microsoft Defender for Endpoint.

.DESCRIPTION
Assigns the application role Alert.ReadWrite.All of the enterprise application WindowsDefenderATP, or with -Hunting the
role ThreatHunting.Read.All of Microsoft Graph, or with -EntityAlerts its role SecurityAlert.Create.All. Run it as often as you like: what is granted already stays as it is.
Needs the modules Microsoft.Graph.Authentication and Microsoft.Graph.Applications, and somebody who may grant
application roles.

.PARAMETER Identity
The identity's client id (the deployment's output identityClientId) or its object id.

.PARAMETER Hunting
Gives the right to search instead. This role opens every table of advanced hunting: events of devices, and also mail,
identities and cloud apps. There is no smaller one.

.PARAMETER EntityAlerts
Gives the right to create alerts that have no event instead. This role creates alerts and incidents, and reads and
changes none.

.PARAMETER TenantId
The tenant, if not the one you sign in to by default.

.PARAMETER Environment
The cloud: Global, USGov (GCC High) or USGovDoD.

.EXAMPLE
./infra/grant-defender-role.ps1 -Identity 00000000-1111-2222-3333-444444444444
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)]
    [guid] $Identity,

    [switch] $Hunting,

    [switch] $EntityAlerts,

    [string] $TenantId,

    [ValidateSet('Global', 'USGov', 'USGovDoD')]
    [string] $Environment = 'Global'
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$app = 'fc780465-2017-40d4-a0c5-307022471b92'
$name = 'WindowsDefenderATP'
$role = 'Alert.ReadWrite.All'
$option = ''
if ($Hunting) {
    $app = '00000003-0000-0000-c000-000000000000'
    $name = 'Microsoft Graph'
    $role = 'ThreatHunting.Read.All'
    $option = ' -Hunting'
}
elseif ($EntityAlerts) {
    $app = '00000003-0000-0000-c000-000000000000'
    $name = 'Microsoft Graph'
    $role = 'SecurityAlert.Create.All'
    $option = ' -EntityAlerts'
}
if ($Hunting -and $EntityAlerts) {
    throw 'Give one of -Hunting and -EntityAlerts, and run this again with the other.'
}

foreach ($module in 'Microsoft.Graph.Authentication', 'Microsoft.Graph.Applications') {
    if (-not (Get-Module -ListAvailable -Name $module)) {
        throw "The module $module is not installed here. Run: Install-Module $module -Scope CurrentUser"
    }
}

$signIn = @{
    Scopes      = 'AppRoleAssignment.ReadWrite.All', 'Application.Read.All'
    Environment = $Environment
    NoWelcome   = $true
}
if ($TenantId) {
    $signIn.TenantId = $TenantId
}
Connect-MgGraph @signIn
$tenant = (Get-MgContext).TenantId

$caution = 'If the app has called Defender before, the platform may give out its older token, without the role, ' +
    'for up to 24 hours; it cannot be made to renew it. GET /api/operations/status?refresh=true of the app says ' +
    'how it stands.'
if ($Hunting) {
    $caution = "$role opens every table of advanced hunting to the app: events of devices, and also mail, identities " +
        'and cloud apps. Microsoft has no smaller role. If the app has searched before, the platform may give out its ' +
        'older token, without the role, for up to 24 hours; it cannot be made to renew it. ' +
        'POST /api/operations/try of the app says how it stands.'
}
elseif ($EntityAlerts) {
    $caution = "$role creates alerts and incidents, and reads and changes none. If the app has called Microsoft Graph " +
        'before, the platform may give out its older token, without the role, for up to 24 hours; it cannot be made ' +
        'to renew it.'
}
if ($Hunting -or $EntityAlerts) {
    $graph = @{ USGov = 'https://graph.microsoft.us'; USGovDoD = 'https://dod-graph.microsoft.us' }[$Environment]
    if ($graph) {
        $caution += " The app's setting GRAPH_API_URL must be $graph, and GRAPH_TOKEN_SCOPE $graph/.default."
    }
}

try {
    $resource = Get-MgServicePrincipal -Filter "appId eq '$app'" -Property @('Id', 'AppRoles')
    if (-not $resource) {
        throw ("The tenant $tenant has no enterprise application $name ($app): it comes with " +
            'Defender for Endpoint. Sign in to the tenant your devices report to (-TenantId), or open ' +
            'https://security.microsoft.com once, and run this again. Nothing was changed.')
    }

    $appRole = $resource.AppRoles | Where-Object {
        $_.Value -eq $role -and $_.IsEnabled -and $_.AllowedMemberTypes -contains 'Application'
    }
    if (-not $appRole) {
        throw "$name offers no application role named $role in the tenant $tenant. Nothing was changed."
    }

    # A client id is as good as an object id here: people have the one or the other at hand.
    $principal = Get-MgServicePrincipal -Filter "appId eq '$Identity'" -Property Id
    if (-not $principal) {
        $principal = Get-MgServicePrincipal -Filter "id eq '$Identity'" -Property Id
    }
    if (-not $principal) {
        throw ("The tenant $tenant has no identity with the client id or object id $Identity. If it is new, wait a " +
            'minute. The deployment shows it as its output identityClientId. Nothing was changed.')
    }

    $granted = Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $principal.Id -All | Where-Object {
        $_.AppRoleId -eq $appRole.Id -and $_.ResourceId -eq $resource.Id
    }
    if ($granted) {
        "The identity $Identity has the role $role of $name already. Nothing was changed."
        $caution
        return
    }

    $assignment = @{
        ServicePrincipalId = $principal.Id
        PrincipalId        = $principal.Id
        ResourceId         = $resource.Id
        AppRoleId          = $appRole.Id
    }
    New-MgServicePrincipalAppRoleAssignment @assignment | Out-Null
    "Granted: the identity $Identity (object $($principal.Id)) now has the role $role of $name in the " +
        "tenant $tenant."
    $caution
}
catch {
    $said = $_.Exception.Message
    if ($said -match 'already exists') {
        "The identity $Identity has the role $role of $name already. Nothing was changed."
        $caution
        return
    }
    if ($said -match 'Authorization_RequestDenied|Insufficient privileges|Forbidden') {
        throw ("You may not do this in the tenant ${tenant}: granting a role takes AppRoleAssignment.ReadWrite.All " +
            'and Application.Read.All, which the directory roles Privileged Role Administrator and Global ' +
            'Administrator have. Nothing was changed. Ask somebody who has one of them to run: ' +
            "./infra/grant-defender-role.ps1 -Identity $Identity$option -TenantId $tenant")
    }
    throw
}
