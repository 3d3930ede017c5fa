#!/usr/bin/env bash
# Gives the app's identity the right to create alerts in Microsoft Defender for Endpoint: the application role
# Alert.ReadWrite.All of the enterprise application WindowsDefenderATP. Run it as often as you like.
#
#   infra/grant-defender-role.sh IDENTITY
#   infra/grant-defender-role.sh --hunting IDENTITY
#   infra/grant-defender-role.sh --entity-alerts IDENTITY
#
# With --hunting it gives the right to search instead: ThreatHunting.Read.All of Microsoft Graph. This role opens every
# table of advanced hunting: events of devices, and also mail, identities and cloud apps. There is no smaller one.
#
# With --entity-alerts it gives the right to create alerts that have no event: SecurityAlert.Create.All of Microsoft
# Graph. This role creates alerts and incidents, and reads and changes none.
#
# IDENTITY is the identity's client id (the deployment's output identityClientId) or its object id. Needs the Azure
# CLI, signed in to the tenant (az login) as somebody who may grant application roles.

set -euo pipefail

app='fc780465-2017-40d4-a0c5-307022471b92'
name='WindowsDefenderATP'
role='Alert.ReadWrite.All'
switch=''
if [[ ${1-} == --hunting ]]; then
  app='00000003-0000-0000-c000-000000000000'
  name='Microsoft Graph'
  role='ThreatHunting.Read.All'
  switch='--hunting '
  shift
elif [[ ${1-} == --entity-alerts ]]; then
  app='00000003-0000-0000-c000-000000000000'
  name='Microsoft Graph'
  role='SecurityAlert.Create.All'
  switch='--entity-alerts '
  shift
fi
readonly app name role switch

say() { printf '%s\n' "$*"; }
fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

if [[ $# -ne 1 || ! $1 =~ ^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$ ]]; then
  fail "Usage: $0 [--hunting | --entity-alerts] IDENTITY" \
    "IDENTITY is the client id or the object id of the app's identity, like 00000000-1111-2222-3333-444444444444." \
    "The deployment shows it as its output identityClientId; so does the function app's page, under Identity."
fi
readonly identity=$1

command -v az >/dev/null ||
  fail 'The Azure CLI (az) is not installed here. Install it, or run this in the Cloud Shell of the Azure portal.'
tenant=$(az account show --query tenantId --output tsv 2>/dev/null) ||
  fail 'The Azure CLI is not signed in. Run: az login --tenant YOUR-TENANT'
# Azure Government has a Graph of its own.
graph=$(az cloud show --query endpoints.microsoftGraphResourceId --output tsv)
readonly tenant graph="${graph%/}/v1.0"

answer='' # of the last call to Graph: what was asked of it (nothing if it has no such thing), or its error
errors=$(mktemp)
readonly errors
trap 'rm -f "$errors"' EXIT

# Calls Graph and keeps its answer; az writes an error as: ERROR: Forbidden({"error": {"code": …}}).
ask() {
  if answer=$(az rest --only-show-errors "$@" --output tsv 2>"$errors"); then
    [[ $answer != None ]] || answer=''
  else
    answer=$(<"$errors")
    return 1
  fi
}

# Ends, with what to do, after a call that failed for another reason than an unknown id.
give_up() {
  case $answer in
    *Authorization_RequestDenied* | *'Forbidden('*)
      fail "You may not do this in the tenant $tenant: granting a role takes AppRoleAssignment.ReadWrite.All and" \
        'Application.Read.All, which the directory roles Privileged Role Administrator and Global Administrator' \
        'have. Nothing was changed. Ask somebody who has one of them to run:' \
        "  az login --tenant $tenant" \
        "  $0 $switch$identity"
      ;;
    *) fail 'Microsoft Graph did not answer as expected. Nothing was changed. It said:' "$answer" ;;
  esac
}

unknown() { [[ $answer == *Request_ResourceNotFound* || $answer == *'Not Found('* ]]; }

if ! ask --method GET --url "$graph/servicePrincipals(appId='$app')?\$select=id,appRoles" --query id; then
  unknown || give_up
  fail "The tenant $tenant has no enterprise application $name ($app): it comes with Defender for" \
    'Endpoint. Sign in to the tenant your devices report to (az login --tenant …), or open' \
    'https://security.microsoft.com once, and run this again. Nothing was changed.'
fi
readonly resource=$answer

ask --method GET --url "$graph/servicePrincipals(appId='$app')?\$select=id,appRoles" \
  --query "appRoles[?value=='$role' && isEnabled && contains(allowedMemberTypes, 'Application')].id | [0]" || give_up
readonly role_id=$answer
[[ -n $role_id ]] ||
  fail "$name offers no application role named $role in the tenant $tenant. Nothing was changed."

# A client id is as good as an object id here: people have the one or the other at hand.
if ! ask --method GET --url "$graph/servicePrincipals/$identity?\$select=id" --query id; then
  unknown || give_up
  if ! ask --method GET --url "$graph/servicePrincipals(appId='$identity')?\$select=id" --query id; then
    unknown || give_up
    fail "The tenant $tenant has no identity with the client id or object id $identity. If it is new, wait a minute." \
      'The deployment shows it as its output identityClientId. Nothing was changed.'
  fi
fi
readonly principal=$answer

caution() {
  if [[ -z $switch ]]; then
    say 'If the app has called Defender before, the platform may give out its older token, without the role, for up to' \
      '24 hours; it cannot be made to renew it. GET /api/operations/status?refresh=true of the app says how it stands.'
    return
  fi
  if [[ $switch == '--hunting ' ]]; then
    say "$role opens every table of advanced hunting to the app: events of devices, and also mail, identities and" \
      'cloud apps. Microsoft has no smaller role.'
    say 'If the app has searched before, the platform may give out its older token, without the role, for up to' \
      '24 hours; it cannot be made to renew it. POST /api/operations/try of the app says how it stands.'
  else
    say "$role creates alerts and incidents, and reads and changes none."
    say 'If the app has called Microsoft Graph before, the platform may give out its older token, without the role,' \
      'for up to 24 hours; it cannot be made to renew it.'
  fi
  if [[ $graph != https://graph.microsoft.com/* ]]; then
    say "The app's settings must name your cloud: GRAPH_API_URL is https://graph.microsoft.us (GCC High) or" \
      'https://dod-graph.microsoft.us (DoD), and GRAPH_TOKEN_SCOPE the same with /.default behind it.'
  fi
}

ask --method GET --url "$graph/servicePrincipals/$principal/appRoleAssignments" \
  --query "value[?appRoleId=='$role_id' && resourceId=='$resource'].id | [0]" || give_up
if [[ -n $answer ]]; then
  say "The identity $identity has the role $role of $name already. Nothing was changed."
  caution
  exit 0
fi

if ! ask --method POST --url "$graph/servicePrincipals/$principal/appRoleAssignments" --query id --body \
  "{\"principalId\": \"$principal\", \"resourceId\": \"$resource\", \"appRoleId\": \"$role_id\"}"; then
  # Granted by somebody else just now, or on a further page of what was looked through.
  [[ $answer == *'already exists'* ]] || give_up
  say "The identity $identity has the role $role of $name already. Nothing was changed."
  caution
  exit 0
fi
say "Granted: the identity $identity (object $principal) now has the role $role of $name in the tenant $tenant."
caution
